"""Whether an entry's `preview_decoder` can show the model's latents, by its small files. Never imports torch."""

import json
from pathlib import Path
from typing import Any

CLASS, WEIGHTS = "AutoencoderTiny", "diffusion_pytorch_model.safetensors"


def complaint(folder: Path, channels: int) -> str | None:
    """Why it cannot show latents of so many channels, None where nothing speaks against it."""
    if not folder.is_dir():
        return f"preview_decoder {folder}: there is no such folder"
    try:
        config: Any = json.loads((folder / "config.json").read_text())
        kind, found = config["_class_name"], config.get("latent_channels", 4)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"preview_decoder {folder}: config.json cannot be read: {type(error).__name__}: {error}"
    if kind != CLASS:
        return f"preview_decoder {folder}: its class is {kind}, and must be {CLASS}"
    if found != channels:
        return f"preview_decoder {folder}: it decodes {found} latent channels, and the model has {channels}"
    if not (folder / WEIGHTS).is_file():
        return f"preview_decoder {folder}: {WEIGHTS} is missing"
    return None
