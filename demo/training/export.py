"""Stage 4: the trained parts as one folder that the pipeline's `from_pretrained` loads."""

from __future__ import annotations

import json
import shutil

import torch
from diffusers import DiffusionPipeline

from demo.training.latents import read
from demo.training.recipe import Recipe
from demo.training.transformer import trained
from demo.training.vae import trained_vae

MAX_BYTES = 16_000_000


def build_pipeline(recipe: Recipe) -> DiffusionPipeline:
    """The pipeline with the weights that training has reached, float32."""
    return recipe.pipeline(trained(recipe), trained_vae(recipe), read(recipe))


def export(recipe: Recipe) -> None:
    """Writes the checkpoint's folder, half precision on disk; keeps its model card."""
    pipeline = build_pipeline(recipe).to(dtype=torch.float16)
    folder = recipe.folder
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
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        raise RuntimeError(f"{folder} has {size} bytes, more than {MAX_BYTES}")
    print(f"{folder}: {size / 1e6:.2f} MB")
