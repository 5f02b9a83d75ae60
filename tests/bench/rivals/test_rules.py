"""When TeaCache and EasyCache compute and what SeaCache looks at, on made-up inputs."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from bench.rivals.methods import tea_cache
from bench.rivals.methods.easy_cache import EasyCacheMethod
from bench.rivals.methods.sea_cache import latents_of
from bench.rivals.methods.tea_cache import TeaCacheMethod


def decisions(method: Any, inputs: list[Tensor], outputs: list[Tensor], streams: tuple[str, ...]) -> str:
    """Run a method over a made-up trajectory."""
    made = ""
    for x, y in zip(inputs, outputs, strict=True):
        for stream in streams:
            method.called(stream, {"hidden_states": x})
            if method.full:
                method.observe(stream, 0, y)
            else:
                method.predict(stream)
        made += "F" if method.full else "P"
        method.end_step()
    return made


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transformer that hands its input to its blocks as it is."""
    for name in ("embedded", "indicator"):
        monkeypatch.setattr(tea_cache, name, lambda _transformer, arguments: arguments["hidden_states"])


@pytest.mark.usefixtures("identity")
def test_teacache_computes_when_the_rescaled_changes_since_the_last_full_step_reach_the_threshold() -> None:
    # Each step is 10 % more than the one before; the polynomial doubles that, and 0.5 is passed by the third.
    inputs = [torch.full((1, 2, 2), 1.1**step) for step in range(9)]
    method = TeaCacheMethod(nn.Identity(), 0, len(inputs), 0.5, np.poly1d([2.0, 0.0]))
    assert decisions(method, inputs, inputs, ("cond", "uncond")) == "FPPFPPFPF"


@pytest.mark.usefixtures("identity")
def test_teacache_adds_the_last_residual_to_the_fresh_input() -> None:
    method = TeaCacheMethod(nn.Identity(), 0, 4, 1e9, np.poly1d([1.0, 0.0]))
    method.called("cond", {"hidden_states": torch.full((1, 1, 1), 2.0)})
    method.observe("cond", 0, torch.full((1, 1, 1), 5.0))
    method.end_step()
    method.called("cond", {"hidden_states": torch.full((1, 1, 1), 10.0)})
    assert not method.full and float(method.predict("cond")) == 13.0


def test_easycache_computes_when_the_changes_that_its_rate_expects_reach_the_threshold() -> None:
    # The input falls by 1 a step, the output by 2: a rate of 2, so a step adds 2 / |output at the last full step|.
    inputs = [torch.full((1, 1), 20.0 - step) for step in range(10)]
    outputs = [torch.full((1, 1), 40.0 - 2 * step) for step in range(10)]
    method = EasyCacheMethod(first=3, steps=10, threshold=0.14)
    # After step 2 the output is 36: 2/36 + 2/36 < 0.14 <= 3 · 2/36. After step 5 it is 30: 2 · 2/30 < 0.14 <= 3 · 2/30.
    assert decisions(method, inputs, outputs, ("cond",)) == "FFFPPFPPFF"


def test_easycache_adds_the_last_difference_of_output_and_input_for_each_stream() -> None:
    method = EasyCacheMethod(first=2, steps=9, threshold=1e9)
    for step in range(2):
        for stream, y in (("cond", 7.0), ("uncond", 11.0)):
            method.called(stream, {"hidden_states": torch.full((1, 1), 3.0 + step)})
            method.observe(stream, 0, torch.full((1, 1), y + step))
        method.end_step()
    for stream, expected in (("cond", 14.0), ("uncond", 18.0)):
        method.called(stream, {"hidden_states": torch.full((1, 1), 10.0)})
        assert not method.full and float(method.predict(stream)) == expected


def test_seacache_looks_at_the_picture_that_flux_has_packed_into_tokens() -> None:
    latents = torch.randn(2, 16, 6, 8)
    packed = FluxPipeline._pack_latents(latents, 2, 16, 6, 8)
    places = FluxPipeline._prepare_latent_image_ids(2, 3, 4, "cpu", torch.float32)
    seen = latents_of(nn.Identity(), (), {"hidden_states": packed, "img_ids": places})
    assert torch.equal(torch.stack(seen), latents.unsqueeze(2))
