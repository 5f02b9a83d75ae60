"""Stage 4: the trained parts as one folder that the pipeline's `from_pretrained` loads."""

from __future__ import annotations

import shutil

from diffusers import DiffusionPipeline

from demo.training.checkpoint import write
from demo.training.latents import read
from demo.training.recipe import Recipe
from demo.training.transformer import trained
from demo.training.vae import trained_vae

MAX_BYTES = 16_000_000


def build_pipeline(recipe: Recipe) -> DiffusionPipeline:
    """The pipeline with the weights that training has reached, float32."""
    return recipe.pipeline(trained(recipe), trained_vae(recipe), read(recipe))


def export(recipe: Recipe) -> None:
    """Writes the checkpoint's folder; keeps its model card. Raises `RuntimeError` where it is too large."""
    made, folder = recipe.work / "exported", recipe.folder
    write(build_pipeline(recipe), made)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        raise RuntimeError(f"{made} has {size} bytes, more than {MAX_BYTES}")
    for part in made.iterdir():
        shutil.rmtree(folder / part.name, ignore_errors=True)
    shutil.copytree(made, folder, dirs_exist_ok=True)
    print(f"{folder}: {size / 1e6:.2f} MB")
