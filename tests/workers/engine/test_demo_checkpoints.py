"""The shipped checkpoints with their shipped coefficients, loaded as any other model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from bench.checker import read_video
from tests.workers.engine.fresh import generate_in_a_fresh_process
from workers.engine.generation import Generation, ProgressCallbacks, generate
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.errors import JobCancelled
from workers.jobs.job import Basis, GenerationRequest
from workers.measurement.fidelity import psnr
from workers.media.png import read_png
from workers.models.catalogue import Catalogue
from workers.scalingcache.products import ELEMENTS

ROOT = Path(__file__).parents[3]
FILE = ROOT / "models.toml"
CATALOGUE = Catalogue.read(FILE)
PROMPT = "a red circle moving to the right on a black background"
MODELS = ("wan-tiny", "wan-ti2v-tiny", "hunyuan-tiny", "flux-tiny")
FIRST_FRAME = ROOT / "demo" / "prompts" / "first_frames" / "bench-04.png"  # a yellow circle, left

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # on cores that others use too

Asked = Callable[..., GenerationRequest]


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> LoadedModel:
    return load_model(CATALOGUE.entry(request.param), CATALOGUE.family(request.param))


@pytest.fixture(scope="module")
def asked(model: LoadedModel) -> Asked:
    return lambda sf, **changes: CATALOGUE.request(model.entry.name, PROMPT, **{"seed": 7, "sf": sf} | changes)


@pytest.fixture(scope="module")
def uncached(model: LoadedModel, asked: Asked) -> Generation:
    return generate(model, asked(50))


@pytest.fixture(scope="module")
def accelerated(model: LoadedModel, asked: Asked) -> Generation:
    return generate(model, asked(10))


def plain(model: LoadedModel, asked: GenerationRequest) -> np.ndarray[Any, Any]:
    """The same by the stock pipeline, from a fresh load, as its users write it."""
    entry = model.entry
    pipeline = getattr(diffusers, type(model.pipeline).__name__).from_pretrained(entry.source, dtype=torch.float32)
    size: dict[str, Any] = {"width": asked.width, "height": asked.height}
    if asked.frames > 1:
        size["num_frames"] = asked.frames
    output = pipeline(
        prompt=asked.prompt, **size, num_inference_steps=asked.steps, guidance_scale=asked.guidance,
        generator=torch.Generator().manual_seed(7), max_sequence_length=entry.defaults.max_sequence_length,
        output_type="np",
    )  # fmt: skip
    frames = output.images if asked.frames == 1 else output.frames[0]
    return (frames * 255).round().astype(np.uint8)


def test_uncached_is_the_plain_pipeline_bit_for_bit(model: LoadedModel, asked: Asked) -> None:
    request = asked(12, steps=12)
    assert np.array_equal(generate(model, request).frames, plain(model, request))


def test_an_sf_beyond_all_steps_is_uncached(model: LoadedModel, asked: Asked) -> None:
    few = {"steps": 4} | ({} if model.family.media == "image" else {"frames": 5})
    assert np.array_equal(generate(model, asked(60, **few)).frames, generate(model, asked(4, **few)).frames)


def test_sf_10_computes_18_of_50_steps_by_what_was_measured(model: LoadedModel, accelerated: Generation) -> None:
    report = accelerated.report
    assert report.engaged and report.reason is None
    assert report.full_steps == 18
    # Of wan-ti2v-tiny only runs from a first frame have plans that were tried.
    plan: Literal["expected", "tried"] = "expected" if model.entry.name == "wan-ti2v-tiny" else "tried"
    # Which of both it goes by is for the run to show.
    bases = [Basis(kind=kind, runs=8, plan=plan) for kind in ("measured", "adapted")]
    assert report.account is not None and report.account.basis in bases


def test_both_results_show_what_the_prompt_says_and_resemble_each_other(
    model: LoadedModel, uncached: Generation, accelerated: Generation
) -> None:
    for generation in (uncached, accelerated):
        seen = read_video(generation.frames)
        assert seen.colour == "red"
        assert model.family.media == "image" or seen.motion == "right"
    assert psnr(accelerated.frames, uncached.frames) > 30


def test_a_run_between_others_and_after_a_cancelled_one_gives_the_bytes_of_a_fresh_process(
    model: LoadedModel, asked: Asked, accelerated: Generation, tmp_path: Path
) -> None:
    def cancel(index: int, *_: Any) -> None:
        if index == 12:
            raise JobCancelled("stop")

    assert accelerated.report.engaged  # the run before
    with pytest.raises(JobCancelled):
        generate(model, asked(4, width=64), ProgressCallbacks(step=cancel))
    request = asked(6, steps=30)
    here = generate(model, request)
    assert here.report.engaged
    assert np.array_equal(generate_in_a_fresh_process(FILE, request, tmp_path), here.frames)


def test_the_cache_of_wan_tiny_is_the_first_latents_and_one_output_for_each_full_step() -> None:
    wan_tiny = load_model(CATALOGUE.entry("wan-tiny"), CATALOGUE.family("wan-tiny"))
    request = CATALOGUE.request("wan-tiny", PROMPT, sf=2, steps=25, seed=7)
    report = generate(wan_tiny, request).report
    pipeline = wan_tiny.pipeline
    latent_frames = (request.frames - 1) // pipeline.vae_scale_factor_temporal + 1
    area = (request.height // pipeline.vae_scale_factor_spatial) * (request.width // pipeline.vae_scale_factor_spatial)
    values = pipeline.transformer.config.in_channels * latent_frames * area
    sampled = min(values, ELEMENTS)
    latents = (1 + report.full_steps) * values * 4  # float32
    assert report.cache_bytes == latents + report.full_steps * sampled * 4 + sampled * 8


def test_the_papers_method_caches_the_last_block_and_a_few_watched_tokens() -> None:
    paper = CATALOGUE.changed("wan-tiny", method="paper", coefficients=(str(ROOT / "alphas/wan-tiny.paper.json"),))
    wan_tiny = load_model(paper.entry("wan-tiny"), paper.family("wan-tiny"))
    request = CATALOGUE.request("wan-tiny", PROMPT, sf=2, steps=25, seed=7)
    report = generate(wan_tiny, request).report
    assert report.engaged and report.account is not None and report.account.method == "paper"
    config, pipeline = wan_tiny.pipeline.transformer.config, wan_tiny.pipeline
    token = config.num_attention_heads * config.attention_head_dim * 4  # channels, float32
    side = pipeline.vae_scale_factor_spatial * config.patch_size[1]
    latent_frames = (request.frames - 1) // pipeline.vae_scale_factor_temporal + 1
    tokens = latent_frames * (request.height // side) * (request.width // side)
    last_block = 2 * 2 * tokens * token  # two streams, y and delta
    watched = 2 * config.num_layers * 32 * token  # two streams, blocks, tokens
    norms = 2 * config.num_layers * 2 * 4  # two numbers for each stream and block
    assert report.cache_bytes == last_block + watched + norms


def test_wan_ti2v_tiny_goes_on_from_a_given_first_frame_and_is_accelerated_there_too() -> None:
    model = load_model(CATALOGUE.entry("wan-ti2v-tiny"), CATALOGUE.family("wan-ti2v-tiny"))
    first_frame = read_png(FIRST_FRAME)
    asked = CATALOGUE.request(
        "wan-ti2v-tiny", "a yellow circle moves to the right on a sandy background", sf=10, seed=7,
        input_reference="0" * 64,
    )  # fmt: skip
    generation = generate(model, asked, image=Image.fromarray(first_frame))
    seen = read_video(generation.frames)
    assert (seen.colour, seen.motion) == ("yellow", "right")
    assert psnr(generation.frames[:1], first_frame[None]) > 24
    assert generation.report.engaged and generation.report.reason is None
