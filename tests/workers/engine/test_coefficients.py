"""Coefficients of Wan's other checkpoints: those of two experts, and those of text and of images, are kept apart."""

from dataclasses import replace
from pathlib import Path

import torch

from tests.workers import micro_wan_variants as variants
from tests.workers.micro_wan import BLOCKS
from workers.engine.fingerprint import fingerprint
from workers.engine.generation import ProgressCallbacks, generate, run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest, ReasonCode
from workers.models.catalogue import families
from workers.scalingcache.paper.coefficients import Coefficients
from workers.scalingcache.paper.estimation import Recorder, pooled


def test_experts_that_swap_places_are_other_weights(tmp_path: Path) -> None:
    variants.save_micro_experts(tmp_path)
    model = load_model(variants.variant_entry(tmp_path, "wan", experts=True), families()["wan"])
    first, second = model.family.transformers(model.pipeline)
    assert model.fingerprint == fingerprint(first, second)
    assert len({fingerprint(first), fingerprint(first, second), fingerprint(second, first)}) == 3


def calibrated(model: LoadedModel, request: GenerationRequest) -> LoadedModel:
    """With coefficients of that request, measured in one run."""
    recorder = Recorder(BLOCKS, segments=plan_run(model, request).segments)
    run_pipeline(model, plan_run(model, request), BlocksAttachment(recorder), ProgressCallbacks())
    sample = recorder.sample()
    measured = Coefficients(
        key=plan_run(model, request).key, alpha=pooled([sample]), spread=torch.zeros_like(sample.energy),
        kappa=5.0, max_skip=2,
        final_full_steps=1, estimator="pooled", prompts=1, seeds=1, convergence=[], expected_full_steps={},
        expected_full_steps_kappa_1={}, relative_change=[], prediction_error=[],
    )  # fmt: skip
    paper = model.entry.model_copy(update={"method": "paper"})
    return replace(model, entry=paper, coefficients=(*model.coefficients, measured))


def test_two_experts_are_calibrated_and_accelerated_each_by_itself(tmp_path: Path) -> None:
    variants.save_micro_experts(tmp_path / "experts")
    model = load_model(variants.variant_entry(tmp_path / "experts", "wan", experts=True), families()["wan"])
    request = GenerationRequest(
        model=model.entry.name, prompt="red circle", width=64, height=64, frames=5, fps=8, steps=24, sf=4,
        guidance=3.0, guidance_2=2.0, flow_shift=1.0, seed=7,
    )  # fmt: skip
    model = calibrated(model, request)
    first, _ = plan_run(model, request).segments
    [measured] = model.coefficients
    assert torch.equal(measured.alpha[first : first + 2], torch.ones(2, BLOCKS, dtype=torch.float64))
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
        model=model.entry.name, prompt="red", width=64, height=64, frames=5, fps=8, steps=12, sf=4, guidance=3.0,
        flow_shift=1.0, seed=7,
    )  # fmt: skip
    model = calibrated(model, request)
    assert generate(model, request).report.engaged
    animating = request.model_copy(update={"input_reference": "0" * 64})
    reason = generate(model, animating, image=variants.a_picture()).report.reason
    assert str(reason).startswith("other_settings: input_reference")
