"""Every kind of Wan checkpoint through the same engine: exact where it computes, and the same warm as cold."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, WanImageToVideoPipeline, WanPipeline
from PIL.Image import Image

from tests.workers import micro_wan_variants as variants
from tests.workers.caching.test_transformer import Record, Replay
from tests.workers.micro_wan import BLOCKS, micro_entry, save_micro_wan
from workers.generation import Watcher, generate, run_pipeline
from workers.jobs.errors import InvalidRequest, JobCancelled, ModelLoadFailed
from workers.jobs.job import GenerationRequest
from workers.loaded import LoadedModel, load_model
from workers.models.base import Family
from workers.models.catalogue import Catalogue, families
from workers.scalingcache.controller import IntervalSettings
from workers.scalingcache.relay import Relay

STEPS = 12


@dataclass(frozen=True)
class Variant:
    """A checkpoint, its family, the stock pipeline that runs a request, and whether that starts from an image."""

    save: Callable[[Path], None]
    family: str
    stock: type[DiffusionPipeline]
    animates: bool


VARIANTS = {
    "t2v": Variant(save_micro_wan, "wan", WanPipeline, False),
    "t2v with experts": Variant(variants.save_micro_experts, "wan", WanPipeline, False),
    "i2v": Variant(variants.save_micro_i2v, "wan-i2v", WanImageToVideoPipeline, True),
    "i2v with experts": Variant(variants.save_micro_i2v_experts, "wan-i2v", WanImageToVideoPipeline, True),
    "ti2v from text": Variant(variants.save_micro_ti2v, "wan-ti2v", WanPipeline, False),
    "ti2v from an image": Variant(variants.save_micro_ti2v, "wan-ti2v", WanImageToVideoPipeline, True),
}


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(scope="module")
def folder(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(variant.save.__name__)
    variant.save(folder)
    return folder


@pytest.fixture
def model(variant: Variant, folder: Path) -> LoadedModel:
    return load_model(variants.variant_entry(folder, variant.family), families()[variant.family])


def asked(model: LoadedModel, variant: Variant, **changes: Any) -> GenerationRequest:
    defaults = model.entry.defaults.model_dump(exclude={"max_sequence_length"}) | {"model": model.entry.name}
    reference = {"input_reference": "0" * 64} if variant.animates else {}
    return GenerationRequest(**(defaults | reference | {"prompt": "red circle", "seed": 7} | changes))


def picture(variant: Variant) -> Image | None:
    return variants.a_picture() if variant.animates else None


def relay(model: LoadedModel, request: GenerationRequest, sf: int = 4) -> Relay:
    alpha = torch.full((STEPS, BLOCKS), 0.9, dtype=torch.float64)
    return Relay(IntervalSettings(sf, kappa=3.0), alpha, model.segments(request))


def test_a_run_without_the_cache_is_bit_identical_to_the_stock_pipeline(
    model: LoadedModel, variant: Variant, folder: Path
) -> None:
    request = asked(model, variant, sf=STEPS)
    stock = variant.stock.from_pretrained(folder)
    stock.set_progress_bar_config(disable=True)
    expected = stock(
        **({"image": picture(variant)} if variant.animates else {}),
        prompt="red circle", negative_prompt="", width=64, height=64, num_frames=5, num_inference_steps=STEPS,
        guidance_scale=3.0, guidance_scale_2=request.guidance_2, max_sequence_length=8,
        generator=torch.Generator().manual_seed(7),
    ).frames[0]  # fmt: skip
    generation = generate(model, request, image=picture(variant))
    assert np.array_equal(generation.frames, (expected * 255).round().astype(np.uint8))
    assert generation.report.reason == "not_requested"


def test_a_cache_that_never_predicts_is_bit_identical_to_none(model: LoadedModel, variant: Variant) -> None:
    request = asked(model, variant)
    method = relay(model, request, sf=STEPS)
    frames, _ = run_pipeline(model, request, method, Watcher(), picture(variant))
    plain, _ = run_pipeline(model, request, None, Watcher(), picture(variant))
    assert np.array_equal(frames, plain)
    assert method.decisions == "F" * STEPS


def test_the_head_alone_repeats_the_stock_forward_bit_for_bit(model: LoadedModel, variant: Variant) -> None:
    recorded = Record({})
    expected, _ = run_pipeline(model, asked(model, variant), recorded, Watcher(), picture(variant))
    replay = Replay(recorded.known)
    frames, _ = run_pipeline(model, asked(model, variant), replay, Watcher(), picture(variant))
    assert np.array_equal(frames, expected)
    assert replay.blocks_run == STEPS / 2 * 2 * BLOCKS


def test_a_warm_model_gives_the_bytes_of_a_cold_one_also_after_an_exception(
    model: LoadedModel, variant: Variant, folder: Path
) -> None:
    request = asked(model, variant)
    cold = load_model(model.entry, model.family)
    expected, _ = run_pipeline(cold, request, relay(cold, request), Watcher(), picture(variant))

    def stop(index: int, *_: Any) -> None:
        if index == 8:
            raise JobCancelled("stop")

    other = asked(model, variant, frames=9, guidance=1.0, seed=3)
    run_pipeline(model, other, relay(model, other, sf=3), Watcher(), picture(variant))
    with pytest.raises(JobCancelled):
        run_pipeline(model, other, relay(model, other), Watcher(step=stop), picture(variant))
    method = relay(model, request)
    frames, _ = run_pipeline(model, request, method, Watcher(), picture(variant))
    assert np.array_equal(frames, expected)
    assert "P" in method.decisions


def test_the_segments_are_the_steps_at_which_the_stock_pipeline_calls_each_transformer(
    model: LoadedModel, variant: Variant
) -> None:
    calls: list[int] = []
    handles = [
        each.register_forward_pre_hook(lambda *_, index=index: calls.append(index))
        for index, each in enumerate(model.family.transformers(model.pipeline))
    ]
    request = asked(model, variant, guidance=1.0)
    run_pipeline(model, request, None, Watcher(), picture(variant))
    for handle in handles:
        handle.remove()
    segments = model.segments(request)
    assert calls == [index for index, steps in enumerate(segments) for _ in range(steps)]
    assert all(segments)
    assert len(segments) == (2 if model.entry.defaults.guidance_2 else 1)


def test_time_that_goes_into_encoding_an_image_is_no_step_time(model: LoadedModel, variant: Variant) -> None:
    order: list[str] = []
    encode = model.pipeline.vae.encode

    def encoding(*args: Any, **kwargs: Any) -> Any:
        order.append("encode")
        return encode(*args, **kwargs)

    model.pipeline.vae.encode = encoding
    _, clock = run_pipeline(model, asked(model, variant, steps=2), None, Watcher(), picture(variant))
    assert order == (["encode"] if variant.animates else [])
    whole = clock.timings["encode_prompt"] + clock.timings["denoise"] + clock.timings["decode"]
    assert clock.timings["denoise"] == pytest.approx(sum(clock.steps["full"]))
    assert 0 < clock.timings["encode_prompt"] < whole


@pytest.mark.parametrize(
    ("family", "save", "words"),
    [("wan", variants.save_micro_ti2v, "multiples of 32"), ("wan-ti2v", save_micro_wan, "multiples of 16")],
)
def test_a_checkpoint_of_another_family_is_refused_when_it_is_loaded(
    tmp_path: Path, family: str, save: Callable[[Path], None], words: str
) -> None:
    save(tmp_path)
    with pytest.raises(ModelLoadFailed, match=words):
        load_model(micro_entry(tmp_path, family=family), families()[family])


def test_experts_that_swap_places_are_other_weights(tmp_path: Path) -> None:
    variants.save_micro_experts(tmp_path)
    model = load_model(variants.variant_entry(tmp_path, "wan"), families()["wan"])
    first, second = model.family.transformers(model.pipeline)
    from workers.fingerprint import fingerprint

    assert model.fingerprint == fingerprint(first, second)
    assert len({fingerprint(first), fingerprint(first, second), fingerprint(second, first)}) == 3


@pytest.mark.parametrize(
    ("family", "reference", "allowed"),
    [
        ("wan", None, True), ("wan", "0" * 64, False),
        ("wan-i2v", None, False), ("wan-i2v", "0" * 64, True),
        ("wan-ti2v", None, True), ("wan-ti2v", "0" * 64, True),
    ],
)  # fmt: skip
def test_each_family_says_whether_it_takes_an_image(
    tmp_path: Path, family: str, reference: str | None, allowed: bool
) -> None:
    catalogue = catalogue_of(families()[family], tmp_path)
    if allowed:
        assert catalogue.request("micro-wan", "red", input_reference=reference).input_reference == reference
        return
    with pytest.raises(InvalidRequest, match="input_reference") as refused:
        catalogue.request("micro-wan", "red", input_reference=reference)
    assert refused.value.param == "input_reference" and "micro-wan" in str(refused.value)


def test_a_second_guidance_is_refused_where_there_is_no_second_expert(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="micro-wan has no second expert"):
        catalogue_of(families()["wan"], tmp_path).request("micro-wan", "red", guidance_2=2.0)


def catalogue_of(family: Family, folder: Path) -> Catalogue:
    entry = micro_entry(folder, family=family.name)
    return Catalogue({"micro-wan": entry}, {family.name: family})
