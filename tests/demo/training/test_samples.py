"""The sheet of what a checkpoint makes in the middle of its training."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from demo.training import samples
from demo.training.recipe import Latents, Recipe
from demo.training.recipes import recipe

pytestmark = pytest.mark.slow


def test_a_sheet_is_drawn_of_the_weights_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    flux: Recipe = type("Elsewhere", (type(recipe("flux-tiny")),), {"work": tmp_path})()
    monkeypatch.setattr(samples, "trained_vae", lambda made: made.vae().eval())
    monkeypatch.setattr(samples, "STEPS", 2)
    weights = flux.networks().state_dict()
    latents = Latents(torch.zeros(1), [0.0] * 8, [1.0] * 8)
    sheet = samples.draw(flux, flux.phases[0], 25, weights, latents)
    assert sheet == tmp_path / "samples" / "transformer-00025.png"
    first = Image.open(sheet).tobytes()
    torch.nn.init.normal_(weights["transformer.proj_out.weight"])
    assert Image.open(samples.draw(flux, flux.phases[0], 25, weights, latents)).tobytes() != first
