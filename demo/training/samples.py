"""What a checkpoint makes while it is still being trained: a sheet of a few prompts, by the worker's own code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from demo.training.checkpoint import write
from demo.training.recipe import Latents, Phase, Recipe
from demo.training.vae import trained_vae
from workers.engine.generation import generate
from workers.engine.loaded import load_model
from workers.measurement.contact_sheet import Row, save_contact_sheet
from workers.models.catalogue import Catalogue

CATALOGUE = Path(__file__).parents[2] / "models.toml"
EVERY_SECONDS = 900.0
STEPS = 20


def draw(recipe: Recipe, phase: Phase, step: int, weights: Mapping[str, Tensor], latents: Latents) -> Path:
    """Write the sheet after `step` finished steps, uncached, and say where it is.

    weights: of the networks, as a state dict. Keeps the checkpoint that made it in `work/<model>/sampled`.
    """
    networks = recipe.networks()
    networks.load_state_dict(dict(weights))
    folder = recipe.work / "sampled"
    write(recipe.pipeline(networks.eval(), trained_vae(recipe), latents), folder)
    catalogue = Catalogue.read(CATALOGUE).changed(recipe.name, source=str(folder), coefficients=(), evaluation=None)
    model = load_model(catalogue.entry(recipe.name), catalogue.family(recipe.name))
    # Where guidance becomes an input in a later phase, this one has seen it as 1 alone.
    later = phase.guidances is None and any(each.guidances for each in recipe.phases)
    settings = {"steps": STEPS, "sf": STEPS, "seed": 7} | ({"guidance": 1.0} if later else {})
    rows = [
        Row(text, generate(model, catalogue.request(recipe.name, text, **settings)).frames) for text in recipe.samples
    ]
    sheet = recipe.work / "samples" / f"{phase.name}-{step:05d}.png"
    save_contact_sheet(sheet, f"{recipe.name}, {phase.name}, step {step} of {phase.steps}", rows)
    return sheet
