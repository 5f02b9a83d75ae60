"""Every kind of Wan checkpoint through the same engine: exact where it computes, and the same warm as cold."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, WanImageToVideoPipeline, WanPipeline
from PIL.Image import Image

from tests.workers import micro_wan_variants as variants
from tests.workers.caching.test_transformer import Record, Replay
from tests.workers.micro_wan import BLOCKS, save_micro_wan
from workers.engine.fingerprint import fingerprint
from workers.engine.generation import Watcher, generate, run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import JobCancelled, RequestRefused
from workers.jobs.job import AttemptKey, GenerationRequest, Reason, ReasonCode, new_job_id
from workers.media.mp4 import read_mp4, write_mp4
from workers.models.catalogue import Catalogue, families
from workers.process.events import Run
from workers.process.runner import Runner
from workers.scalingcache.coefficients import Coefficients
from workers.scalingcache.controller import IntervalSettings
from workers.scalingcache.estimation import Recorder, pooled
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
    return Relay(IntervalSettings(sf, kappa=3.0), alpha, plan_run(model, request).segments)


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
    assert generation.report.reason == Reason(code=ReasonCode.NOT_REQUESTED)


def test_a_cache_that_never_predicts_is_bit_identical_to_none(model: LoadedModel, variant: Variant) -> None:
    request = asked(model, variant)
    method = relay(model, request, sf=STEPS)
    frames, _ = run_pipeline(model, plan_run(model, request), method, Watcher(), picture(variant))
    plain, _ = run_pipeline(model, plan_run(model, request), None, Watcher(), picture(variant))
    assert np.array_equal(frames, plain)
    assert method.decisions == "F" * STEPS


def test_the_head_alone_repeats_the_stock_forward_bit_for_bit(model: LoadedModel, variant: Variant) -> None:
    recorded = Record({})
    expected, _ = run_pipeline(model, plan_run(model, asked(model, variant)), recorded, Watcher(), picture(variant))
    replay = Replay(recorded.known)
    frames, _ = run_pipeline(model, plan_run(model, asked(model, variant)), replay, Watcher(), picture(variant))
    assert np.array_equal(frames, expected)
    assert replay.blocks_run == STEPS / 2 * 2 * BLOCKS


def test_a_warm_model_gives_the_bytes_of_a_cold_one_also_after_an_exception(
    model: LoadedModel, variant: Variant, folder: Path
) -> None:
    request = asked(model, variant)
    cold = load_model(model.entry, model.family)
    expected, _ = run_pipeline(cold, plan_run(cold, request), relay(cold, request), Watcher(), picture(variant))

    def stop(index: int, *_: Any) -> None:
        if index == 8:
            raise JobCancelled("stop")

    other = asked(model, variant, frames=9, guidance=1.0, seed=3)
    run_pipeline(model, plan_run(model, other), relay(model, other, sf=3), Watcher(), picture(variant))
    with pytest.raises(JobCancelled):
        run_pipeline(model, plan_run(model, other), relay(model, other), Watcher(step=stop), picture(variant))
    method = relay(model, request)
    frames, _ = run_pipeline(model, plan_run(model, request), method, Watcher(), picture(variant))
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
    run_pipeline(model, plan_run(model, request), None, Watcher(), picture(variant))
    for handle in handles:
        handle.remove()
    segments = plan_run(model, request).segments
    assert calls == [index for index, steps in enumerate(segments) for _ in range(steps)]
    assert all(segments)
    assert len(segments) == (2 if model.entry.defaults.guidance_2 else 1)


def test_time_that_goes_into_encoding_an_image_is_no_step_time(model: LoadedModel, variant: Variant) -> None:
    spent: list[float] = []
    encode = model.pipeline.vae.encode

    def encoding(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return encode(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - start)

    model.pipeline.vae.encode = encoding
    _, clock = run_pipeline(model, plan_run(model, asked(model, variant, steps=2)), None, Watcher(), picture(variant))
    assert len(spent) == variant.animates
    assert clock.timings["encode_prompt"] >= sum(spent)


def test_experts_that_swap_places_are_other_weights(tmp_path: Path) -> None:
    variants.save_micro_experts(tmp_path)
    model = load_model(variants.variant_entry(tmp_path, "wan"), families()["wan"])
    first, second = model.family.transformers(model.pipeline)
    assert model.fingerprint == fingerprint(first, second)
    assert len({fingerprint(first), fingerprint(first, second), fingerprint(second, first)}) == 3


def calibrated(model: LoadedModel, request: GenerationRequest) -> LoadedModel:
    """With coefficients of that request, measured in one run."""
    recorder = Recorder(BLOCKS, segments=plan_run(model, request).segments)
    run_pipeline(model, plan_run(model, request), recorder, Watcher())
    sample = recorder.sample()
    known = Coefficients(
        key=plan_run(model, request).key, alpha=pooled([sample]), spread=torch.zeros_like(sample.energy),
        kappa=5.0, max_skip=2,
        final_full_steps=1, estimator="pooled", prompts=1, seeds=1, convergence=[], expected_full_steps={},
        expected_full_steps_literal={}, relative_change=[], prediction_error=[],
    )  # fmt: skip
    return replace(model, coefficients=(*model.coefficients, known))


def test_two_experts_are_calibrated_and_accelerated_each_by_itself(tmp_path: Path) -> None:
    variants.save_micro_experts(tmp_path / "experts")
    model = load_model(variants.variant_entry(tmp_path / "experts", "wan"), families()["wan"])
    request = GenerationRequest(
        model=model.entry.name, prompt="red circle", width=64, height=64, frames=5, fps=8, steps=24, sf=4,
        guidance=3.0, guidance_2=2.0, flow_shift=1.0, seed=7,
    )  # fmt: skip
    model = calibrated(model, request)
    first, _ = plan_run(model, request).segments
    [known] = model.coefficients
    assert torch.equal(known.alpha[first : first + 2], torch.ones(2, BLOCKS, dtype=torch.float64))
    report = generate(model, request).report
    assert report.engaged and report.reason is None and len(report.decisions) == 24
    for part in (report.decisions[:first], report.decisions[first:]):
        assert part.startswith("FF") and "P" in part
    assert report.decisions[-1] == "F"

    resampled = generate(model, request.model_copy(update={"steps": 20})).report
    assert resampled.reason is not None and resampled.reason.code is ReasonCode.RESAMPLED
    first = plan_run(model, request.model_copy(update={"steps": 20})).segments[0]
    assert resampled.decisions[first:].startswith("FF")

    moved = replace(model, pipeline=model.pipeline)
    moved.pipeline.register_to_config(boundary_ratio=0.3)
    reason = generate(moved, request).report.reason
    assert str(reason).startswith("other_settings: scheduler")


def test_coefficients_of_text_are_not_used_for_images(tmp_path: Path) -> None:
    variants.save_micro_ti2v(tmp_path / "ti2v")
    model = load_model(variants.variant_entry(tmp_path / "ti2v", "wan-ti2v"), families()["wan-ti2v"])
    request = GenerationRequest(
        model=model.entry.name, prompt="red", width=64, height=64, frames=5, fps=8, steps=STEPS, sf=4, guidance=3.0,
        flow_shift=1.0, seed=7,
    )  # fmt: skip
    model = calibrated(model, request)
    assert generate(model, request).report.engaged
    animating = request.model_copy(update={"input_reference": "0" * 64})
    reason = generate(model, animating, image=variants.a_picture()).report.reason
    assert str(reason).startswith("other_settings: input_reference")


def test_a_job_finds_the_image_that_it_was_submitted_with(tmp_path: Path) -> None:
    folder = tmp_path / "i2v"
    variants.save_micro_i2v(folder)
    entry = variants.variant_entry(folder, "wan-i2v")
    store = ArtifactStore(tmp_path / "artifacts")
    runner = Runner(Catalogue({entry.name: entry}, families()), store)
    runner.load([entry.name])
    request = GenerationRequest(
        model=entry.name, prompt="red", width=64, height=64, frames=5, fps=8, steps=2, sf=2, guidance=1.0,
        flow_shift=1.0, seed=7, input_reference="0" * 64,
    )  # fmt: skip
    run = Run(AttemptKey("acme", new_job_id(entry.name), "a" * 32), request)
    with pytest.raises(RequestRefused, match="no longer kept"):
        runner.run(run, lambda _event: None, lambda: False)

    content = io.BytesIO()
    variants.a_picture().save(content, "PNG")
    store.keep_reference(run.key, content.getvalue())
    done = runner.run(run, lambda _event: None, lambda: False)
    model = load_model(entry, families()["wan-i2v"])
    expected = generate(model, request, image=variants.a_picture()).frames
    write_mp4(tmp_path / "expected.mp4", expected, request.fps)
    assert np.array_equal(read_mp4(store.path(done.artifact)), read_mp4(tmp_path / "expected.mp4"))
