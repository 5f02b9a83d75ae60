"""A pipeline as a folder on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import DiffusionPipeline


def write(pipeline: DiffusionPipeline, folder: Path) -> None:
    """Writes a pipeline's parts in half precision, which they have afterwards."""
    pipeline = pipeline.to(dtype=torch.float16)
    for part in pipeline.components:
        shutil.rmtree(folder / part, ignore_errors=True)
    pipeline.save_pretrained(folder)
    for config_path in folder.glob("*/config.json"):
        config = json.loads(config_path.read_text())
        config.pop("_name_or_path", None)  # the folder on this machine that training began with
        if config_path.parent.name.startswith("text_encoder"):
            config["dtype"] = "float32"  # transformers would otherwise compute in the precision of the disk
        config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # They are written for their owner alone; containers run as another user.
