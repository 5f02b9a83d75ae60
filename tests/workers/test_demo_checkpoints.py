"""The shipped checkpoint with its shipped coefficients, loaded as any other model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanPipeline

from bench.checker import read_video
from workers.fidelity import psnr
from workers.generation import Generation, generate
from workers.jobs.job import GenerationRequest
from workers.loaded import LoadedModel, load_model
from workers.models.catalogue import Catalogue

CATALOGUE = Catalogue.read(Path(__file__).parents[2] / "models.toml")
PROMPT = "a red circle moving to the right on a black background"


@pytest.fixture(scope="module")
def wan_tiny() -> LoadedModel:
    return load_model(CATALOGUE.entry("wan-tiny"), CATALOGUE.family("wan-tiny"))


def asked(sf: int) -> GenerationRequest:
    return CATALOGUE.request("wan-tiny", PROMPT, sf=sf, seed=7)


@pytest.fixture(scope="module")
def uncached(wan_tiny: LoadedModel) -> Generation:
    return generate(wan_tiny, asked(50))


@pytest.fixture(scope="module")
def accelerated(wan_tiny: LoadedModel) -> Generation:
    return generate(wan_tiny, asked(10))


def test_uncached_is_the_plain_pipeline_bit_for_bit(uncached: Generation) -> None:
    entry, request = CATALOGUE.entry("wan-tiny"), asked(50)
    frames = WanPipeline.from_pretrained(entry.source)(
        prompt=request.prompt, width=request.width, height=request.height, num_frames=request.frames,
        num_inference_steps=50, guidance_scale=request.guidance, generator=torch.Generator().manual_seed(7),
        max_sequence_length=entry.defaults.max_sequence_length, output_type="np",
    ).frames[0]  # fmt: skip
    assert np.array_equal(uncached.frames, (frames * 255).round().astype(np.uint8))


def test_sf_10_computes_about_two_fifths_of_the_steps(accelerated: Generation) -> None:
    report = accelerated.report
    assert report.engaged and report.reason is None
    assert report.decisions.startswith("F" * 10 + "P")
    assert 14 <= report.full_steps <= 25


def test_both_videos_show_what_the_prompt_says_and_resemble_each_other(
    uncached: Generation, accelerated: Generation
) -> None:
    for generation in (uncached, accelerated):
        seen = read_video(generation.frames)
        assert (seen.colour, seen.motion) == ("red", "right")
    assert psnr(accelerated.frames, uncached.frames) > 20


def test_the_cache_is_the_last_block_and_a_few_watched_tokens(accelerated: Generation) -> None:
    token = 128 * 4  # channels, float32
    last_block = 2 * 2 * 9 * 6 * 6 * token  # two streams, y and delta
    watched = 2 * 30 * 32 * token  # two streams, blocks, tokens
    changes = 2 * 30 * 4  # one number for each stream and block
    assert accelerated.report.cache_bytes == last_block + watched + changes
