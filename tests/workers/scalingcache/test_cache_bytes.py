"""What a session holds at the sizes of the real models, counted over all living tensors. No transformer is needed."""

from dataclasses import dataclass

import pytest
import torch

from tests.workers.memory import living_bytes
from tests.workers.scalingcache.solvers import euler
from workers.scalingcache.forecast import Forecast
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.session import Session
from workers.scalingcache.priors import usual
from workers.scalingcache.products import ELEMENTS
from workers.scalingcache.schedule import plan

GIB = 2**30
FULL_STEPS = 2


@dataclass(frozen=True)
class Size:
    """tokens: of the picture; text: those that lie in the same memory, in what a block returns; most: bytes."""

    tokens: int
    text: int
    channels: int
    blocks: int
    streams: tuple[str, ...]
    most: float


SIZES = {
    "Wan2.1-14B, 81 x 832 x 480": Size(21 * 30 * 52, 0, 5120, 40, ("cond", "uncond"), 1.35 * GIB),
    "HunyuanVideo, 129 x 960 x 544": Size(33 * 34 * 60, 256, 3072, 60, ("cond",), 0.85 * GIB),
    "FLUX, 1360 x 768": Size(48 * 85, 512, 3072, 57, ("cond",), GIB / 16),
}


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_a_session_holds_two_tensors_of_the_last_block_and_little_else(size: Size) -> None:
    before = living_bytes()
    session = Session(IntervalSettings(FULL_STEPS), torch.ones(8, size.blocks))
    for _ in range(FULL_STEPS):
        for stream in size.streams:
            # A block's output is a part of a tensor with the text's tokens as well, and keeps all of it alive.
            output = torch.zeros(1, size.text + size.tokens, size.channels, dtype=torch.bfloat16)
            for block in range(size.blocks):
                session.observe(stream, block, output[:, size.text :])
            del output
        session.end_step()
    held = living_bytes() - before
    last_block = len(size.streams) * 2 * size.tokens * size.channels * 2
    assert last_block <= held <= size.most
    assert session.peak_cache_bytes == pytest.approx(held, rel=1e-3)
    session.close()
    del session
    assert living_bytes() == before


@dataclass(frozen=True)
class Latents:
    """values: of the latents; most: MiB that a run of 50 steps, 18 of them in full, may hold."""

    values: int
    most: float


LATENTS = {
    "Wan2.1-14B, 81 x 832 x 480": Latents(16 * 21 * 60 * 104, 90),
    "HunyuanVideo, 129 x 960 x 544": Latents(16 * 33 * 68 * 120, 175),
    "FLUX, 1360 x 768": Latents(48 * 85 * 64, 16),
}


@pytest.mark.parametrize("latents", LATENTS.values(), ids=list(LATENTS))
def test_a_forecast_holds_the_first_latents_an_output_for_each_full_step_and_a_sample_of_it(latents: Latents) -> None:
    solver = euler(50)
    full = plan(usual(solver.sigmas).matrix, 18, 6)
    before = living_bytes()
    forecast = Forecast(usual(solver.sigmas), solver, full)
    sample = torch.randn(latents.values)
    same = torch.randn(latents.values).bfloat16()  # What is predicted exactly adds no step to the plan.
    for _ in range(49):  # The last step's own sum is the pipeline's by then.
        output = same.clone() if forecast.full else None
        sample = forecast.step(output, sample)
        del output
    del sample, same
    held = living_bytes() - before
    sampled = min(latents.values, ELEMENTS)
    assert held == latents.values * (4 + 17 * 2) + sampled * (17 * 4 + 8)
    assert held + latents.values * 2 + sampled * 4 <= latents.most * 2**20
    assert forecast.peak_cache_bytes == held
    forecast.close()
    del forecast
    assert living_bytes() == before
