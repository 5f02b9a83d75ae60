"""What a generation reports, and when it is accelerated."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers import micro_wan
from tests.workers.factories import a_request
from tests.workers.micro_wan import micro_request
from workers.engine.acceleration import Acceleration
from workers.engine.generation import ProgressCallbacks, _Clock, _report, generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.paper_acceleration import fitting_coefficients, resampled
from workers.engine.plan import plan_run
from workers.jobs.errors import CoefficientsMismatch, JobCancelled, ModelLoadFailed, UnsupportedPipeline
from workers.jobs.job import Reason, ReasonCode
from workers.models.families.wan import Wan


@pytest.fixture
def calibrated(micro: LoadedModel) -> LoadedModel:
    return micro_wan.calibrated(micro, micro_request())


def test_an_accelerated_run_says_what_happened(calibrated: LoadedModel) -> None:
    report = generate(calibrated, micro_request()).report
    assert report.engaged and report.reason is None
    assert report.full_steps + report.cached_steps == report.steps == len(report.decisions) == 12
    assert report.decisions.count("F") == report.full_steps < 12
    assert report.speedup_estimated == 12 / report.full_steps
    assert report.speedup_measured == pytest.approx(report.full_step_seconds * 12 / report.timings["denoise"])
    assert report.cache_bytes > 0
    assert set(report.timings) == {"encode_prompt", "denoise", "decode"}
    assert report.account is not None and report.account.method == "paper"
    assert len(report.account.epsilon) == len(report.account.delta) == 12


def test_the_watcher_hears_of_every_stage_and_step_in_order(calibrated: LoadedModel) -> None:
    heard: list[Any] = []
    report = generate(
        calibrated, micro_request(), ProgressCallbacks(heard.append, lambda index, kind, _: heard.append((index, kind)))
    ).report
    kinds = {"F": "full", "P": "predicted"}
    steps = [(index, kinds[letter]) for index, letter in enumerate(report.decisions)]
    assert heard == ["encode_prompt", "denoise", *steps, "decode"]


@pytest.mark.parametrize("sf", [12, 13, 40])
def test_sf_of_all_steps_is_bit_identical_to_the_untouched_pipeline(calibrated: LoadedModel, sf: int) -> None:
    asked = micro_request(sf=sf)
    generation = generate(calibrated, asked)
    stock = calibrated.pipeline(
        prompt=asked.prompt, negative_prompt="", width=32, height=32, num_frames=5, guidance_scale=3.0,
        num_inference_steps=12, generator=torch.Generator().manual_seed(7), max_sequence_length=8, output_type="np",
    ).frames[0]  # fmt: skip
    assert np.array_equal(generation.frames, (stock * 255).round().astype(np.uint8))
    assert (generation.report.speedup_measured, generation.report.engaged) == (1.0, False)
    assert generation.report.reason == Reason(code=ReasonCode.NOT_REQUESTED)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sf": 11}, "too_few_steps"),
        (
            {"steps": 5, "sf": 2},
            "other_settings: steps: measured on 12, this run has 5; coefficients are resampled to 6 to 24",
        ),
        ({"steps": 25}, "other_settings: steps"),
        ({"flow_shift": 3.0}, "other_settings: scheduler flow_shift: measured on 1.0, this run has 3.0"),
        ({"width": 64, "height": 64}, "other_settings: size_class"),
        ({"guidance": 1.0}, "other_settings: guidance"),
    ],
)
def test_a_run_that_cannot_be_accelerated_is_computed_in_full_and_says_why(
    calibrated: LoadedModel, changes: dict[str, Any], reason: str
) -> None:
    report = generate(calibrated, micro_request(**changes)).report
    assert not report.engaged
    assert str(report.reason).startswith(reason)
    assert report.cached_steps == 0


def test_a_model_without_coefficients_says_so(micro: LoadedModel) -> None:
    by_paper = replace(micro, entry=micro.entry.model_copy(update={"method": "paper"}))
    reason = generate(by_paper, micro_request()).report.reason
    assert reason is not None and reason.code is ReasonCode.NOT_CALIBRATED


@pytest.mark.parametrize("steps", [6, 9, 24])
def test_another_number_of_steps_within_reach_runs_on_resampled_coefficients_and_says_so(
    calibrated: LoadedModel, steps: int
) -> None:
    report = generate(calibrated, micro_request(steps=steps)).report
    assert report.engaged and report.cached_steps > 0
    assert str(report.reason) == "resampled: measured with 12 steps"


def test_resampling_follows_the_noise_levels_of_the_models_own_scheduler(calibrated: LoadedModel) -> None:
    [measured] = calibrated.coefficients
    half = resampled(calibrated, measured, plan_run(calibrated, micro_request(steps=6)))
    # Without a shift all steps are equally wide: half as many, twice as wide, so the decay of 0.9 is squared.
    assert torch.allclose(half[2:], torch.tensor(0.81, dtype=torch.float64), atol=0.01)


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"width": 64, "height": 64}, "other_settings: size_class"), ({"steps": 30, "frames": 1}, "other_settings: size")],
)
def test_who_allows_it_is_accelerated_without_fitting_coefficients_and_told_so(
    calibrated: LoadedModel, changes: dict[str, Any], why: str
) -> None:
    report = generate(calibrated, micro_request(allow_uncalibrated=True, **changes)).report
    assert str(report.reason).startswith(f"uncalibrated: alpha is 1 throughout ({why}")
    assert report.decisions.startswith("FFFF") and report.decisions.endswith("F")


def test_of_several_coefficient_files_a_request_gets_the_one_measured_on_its_settings(
    micro: LoadedModel,
) -> None:
    usual, shifted, short = micro_request(), micro_request(flow_shift=3.0), micro_request(steps=8)
    several = tuple(micro_wan.calibrated(micro, each).coefficients[0] for each in (usual, shifted, short))
    model = replace(micro, coefficients=several)
    for wanted, measured in zip((usual, shifted, short), several, strict=True):
        assert fitting_coefficients(model, plan_run(model, wanted)) is measured
    fitting = [fitting_coefficients(model, plan_run(model, micro_request(steps=steps))) for steps in (7, 11)]
    assert fitting[0] is several[2] and fitting[1] is several[0], "the nearest number of steps"
    unguided = fitting_coefficients(model, plan_run(model, micro_request(guidance=1.0)))
    assert isinstance(unguided, Reason)
    why = str(fitting_coefficients(model, plan_run(model, micro_request(flow_shift=5.0))))
    assert why.startswith("other_settings: scheduler") and why.count("; scheduler") == 1


def test_allowing_uncalibrated_changes_nothing_where_coefficients_fit(calibrated: LoadedModel) -> None:
    allowed, plain = generate(calibrated, micro_request(allow_uncalibrated=True)), generate(calibrated, micro_request())
    assert np.array_equal(allowed.frames, plain.frames)
    assert allowed.report.reason is None


def test_jobs_with_other_settings_in_between_give_the_same_bytes(calibrated: LoadedModel) -> None:
    first = generate(calibrated, micro_request(sf=4)).frames
    with pytest.raises(JobCancelled):
        generate(calibrated, micro_request(sf=3, width=64), ProgressCallbacks(step=cancel_at(5)))
    generate(calibrated, micro_request(sf=6, frames=9, flow_shift=3.0, guidance=1.0, seed=3))
    assert np.array_equal(generate(calibrated, micro_request(sf=4)).frames, first)


def cancel_at(step: int) -> Any:
    def watch(index: int, *_: Any) -> None:
        if index == step:
            raise JobCancelled("stop")

    return watch


def test_a_scheduler_that_calls_the_model_twice_a_step_is_refused(calibrated: LoadedModel) -> None:
    from diffusers import FlowMatchHeunDiscreteScheduler

    calibrated.pipeline.scheduler = FlowMatchHeunDiscreteScheduler()
    with pytest.raises(UnsupportedPipeline, match="FlowMatchHeunDiscreteScheduler calls the transformer 2 times"):
        generate(calibrated, micro_request())


def test_coefficients_of_other_weights_are_refused_when_the_model_is_loaded(
    calibrated: LoadedModel, tmp_path: Any
) -> None:
    path = tmp_path / "micro.json"
    [measured] = calibrated.coefficients
    measured.save(path)
    entry = calibrated.entry.model_copy(update={"coefficients": (str(path),)})
    assert [each.key for each in load_model(entry, Wan()).coefficients] == [measured.key]

    foreign = replace(measured, key=replace(measured.key, fingerprint="f" * 32))
    foreign.save(path)
    with pytest.raises(CoefficientsMismatch, match=r"measured on weights ffff.*calibrate --model micro-wan"):
        load_model(entry, Wan())


def test_a_missing_checkpoint_is_one_readable_error(micro: LoadedModel, tmp_path: Any) -> None:
    entry = micro.entry.model_copy(update={"source": str(tmp_path / "nowhere")})
    with pytest.raises(ModelLoadFailed, match=r"micro-wan from .*nowhere"):
        load_model(entry, Wan())


def test_a_first_step_that_warms_up_the_device_makes_no_other_look_as_if_it_had_saved_that() -> None:
    clock = _Clock(torch.device("cpu"), steps={"full": [9.0, 0.2, 0.2], "predicted": [0.02] * 7})
    report = _report(a_request(steps=10, sf=3), Acceleration(None, None), clock)
    assert report.full_step_seconds == pytest.approx(0.2)
    assert report.speedup_measured == pytest.approx(0.2 * 10 / 9.54)
