"""What a generation by the covariance method reports, and when it is accelerated."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from tests.workers.micro_wan import micro_request
from workers.engine.generation import ProgressCallbacks, generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.errors import JobCancelled, ModelLoadFailed, NotFinite
from workers.jobs.job import Basis, Reason, ReasonCode
from workers.models.families.wan import Wan
from workers.scalingcache.budget import full_steps
from workers.scalingcache.measured import MeasuredCovariance


def test_a_model_without_any_file_is_accelerated_at_once_and_says_on_what(micro: LoadedModel) -> None:
    report = generate(micro, micro_request()).report
    assert report.engaged and report.reason is None
    assert report.account is not None
    assert report.full_steps == full_steps(4, 12) + len(report.account.added_steps) == report.decisions.count("F")
    assert report.full_steps + report.cached_steps == report.steps == len(report.decisions) == 12
    assert report.speedup_measured == pytest.approx(report.full_step_seconds * 12 / report.timings["denoise"])
    assert report.account.method == "covariance"
    assert report.account.basis is not None and report.account.basis.runs == 0
    assert report.account.basis.kind in ("prior", "adapted")
    assert report.account.expected_snr is not None and np.isfinite(report.account.expected_snr)


def test_each_full_step_after_predicted_ones_shows_how_far_off_they_were(micro: LoadedModel) -> None:
    report = generate(micro, micro_request()).report
    after_gap = [i for i in range(1, 12) if report.decisions[i - 1 : i + 1] == "PF"]
    assert report.account is not None
    assert [each.step for each in report.account.mispredictions] == after_gap
    assert all(each.measured > 0 and each.expected > 0 for each in report.account.mispredictions)


def test_an_uncached_run_shows_a_covariance_on_which_later_runs_rest(micro: LoadedModel) -> None:
    shown = generate(micro, micro_request(sf=12, seed=1)).covariance
    assert shown is not None and shown.covariance.runs == 1
    assert shown.kind == plan_run(micro, micro_request()).kind

    report = generate(micro, micro_request(), observed=[shown]).report
    assert report.account is not None and report.account.basis == Basis(kind="measured", runs=1)
    assert generate(replace(micro, covariances=(shown,)), micro_request()).report.decisions == report.decisions


def test_an_accelerated_run_shows_no_covariance(micro: LoadedModel) -> None:
    assert generate(micro, micro_request()).covariance is None


def test_a_run_of_one_step_shows_no_covariance_and_one_of_two_does(micro: LoadedModel) -> None:
    assert generate(micro, micro_request(steps=1, sf=2).uncached).covariance is None
    shown = generate(micro, micro_request(steps=2, sf=2).uncached).covariance
    assert shown is not None and MeasuredCovariance.parsed(json.loads(shown.text())).steps == 2


def test_a_covariance_answers_for_other_steps_and_shifts_but_not_for_other_sizes(micro: LoadedModel) -> None:
    shown = generate(micro, micro_request(sf=12)).covariance
    assert shown is not None
    model = replace(micro, covariances=(shown,))

    def runs(**changes: Any) -> int:
        account = generate(model, micro_request(**changes)).report.account
        assert account is not None and account.basis is not None
        return account.basis.runs

    assert runs(steps=20) == runs(flow_shift=3.0) == runs(guidance=5.0) == 1
    assert runs(width=64, height=64) == runs(guidance=1.0) == 0


@pytest.mark.parametrize("count", [3, 5, 8])
def test_so_many_full_steps_as_are_asked_for_are_computed(micro: LoadedModel, count: int) -> None:
    assert generate(micro, micro_request(full_steps=count)).report.full_steps == count


@pytest.mark.parametrize("sf", [8, 10, 11])
def test_a_run_that_would_gain_next_to_nothing_is_computed_in_full_and_says_so(micro: LoadedModel, sf: int) -> None:
    report = generate(micro, micro_request(sf=sf)).report
    assert not report.engaged and report.full_steps == 12
    assert report.reason == Reason(
        code=ReasonCode.LITTLE_GAIN, detail=f"{full_steps(sf, 12)} of 12 steps in full are less than 1.15 times faster"
    )


@pytest.mark.parametrize(("steps", "sf"), [(4, 2), (3, 2), (2, 2), (1, 2)])
def test_runs_of_few_steps_are_accelerated_or_say_why_not(micro: LoadedModel, steps: int, sf: int) -> None:
    report = generate(micro, micro_request(steps=steps, sf=sf)).report
    assert report.engaged == (report.reason is None) == ("P" in report.decisions)
    assert report.engaged == (steps >= 1.15 * full_steps(sf, steps) and sf < steps)


def test_a_solver_that_draws_noise_is_run_uncached_and_named(micro: LoadedModel) -> None:
    noisy = FlowMatchEulerDiscreteScheduler(shift=1.0, stochastic_sampling=True)
    micro.pipeline.scheduler = noisy
    report = generate(micro, micro_request()).report
    assert not report.engaged and report.reason is not None
    assert report.reason.code is ReasonCode.UNSUPPORTED_SOLVER
    assert "FlowMatchEulerDiscreteScheduler" in report.reason.detail


def test_the_same_request_gives_the_same_bytes_after_other_runs_and_a_cancelled_one(micro: LoadedModel) -> None:
    first = generate(micro, micro_request(sf=4)).frames

    def cancel(index: int, *_: Any) -> None:
        if index == 5:
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        generate(micro, micro_request(sf=3, width=64), ProgressCallbacks(step=cancel))
    generate(micro, micro_request(sf=6, frames=9, flow_shift=3.0, guidance=1.0, seed=3))
    assert np.array_equal(generate(micro, micro_request(sf=4)).frames, first)
    assert "step" not in vars(micro.pipeline.scheduler)


def test_the_callbacks_hear_of_every_stage_and_step_in_order(micro: LoadedModel) -> None:
    heard: list[Any] = []
    callbacks = ProgressCallbacks(heard.append, lambda index, kind, _: heard.append((index, kind)))
    report = generate(micro, micro_request(), callbacks).report
    kinds = {"F": "full", "P": "predicted"}
    steps = [(index, kinds[letter]) for index, letter in enumerate(report.decisions)]
    assert heard == ["encode_prompt", "denoise", *steps, "decode"]


@pytest.mark.parametrize("method", ["covariance", "paper"])
@pytest.mark.parametrize("sf", [4, 12])
def test_a_model_that_gives_no_numbers_gives_no_video(micro: LoadedModel, method: Any, sf: int) -> None:
    model = replace(micro, entry=micro.entry.model_copy(update={"method": method}))
    with torch.no_grad():
        model.pipeline.transformer.proj_out.weight[0, 0] = float("nan")
    with pytest.raises(NotFinite, match="not finite"):
        generate(model, micro_request(sf=sf, allow_uncalibrated=True))


def test_frames_that_are_no_numbers_are_no_video(micro: LoadedModel) -> None:
    with torch.no_grad():
        micro.pipeline.vae.decoder.conv_out.bias[0] = float("nan")
    with pytest.raises(NotFinite, match="decoded frames"):
        generate(micro, micro_request())


def test_a_checkpoint_with_weights_that_are_no_numbers_does_not_load(micro: LoadedModel, tmp_path: Any) -> None:
    with torch.no_grad():
        micro.pipeline.transformer.blocks[1].ffn.net[2].weight[3, 5] = float("nan")
    micro.pipeline.save_pretrained(tmp_path)
    entry = micro.entry.model_copy(update={"source": str(tmp_path)})
    with pytest.raises(ModelLoadFailed, match=r"transformer: weight blocks\.1\.ffn\.net\.2\.weight holds values"):
        load_model(entry, Wan())


@pytest.mark.parametrize("sf", [4, 12])
def test_a_model_that_gives_nothing_but_zeros_is_run_all_the_same_and_shows_nothing(
    micro: LoadedModel, sf: int
) -> None:
    with torch.no_grad():
        micro.pipeline.transformer.proj_out.weight.zero_()
        micro.pipeline.transformer.proj_out.bias.zero_()
    generation = generate(micro, micro_request(sf=sf))
    assert generation.covariance is None
    assert generation.report.engaged == (sf == 4)
    assert type(generation.report).model_validate_json(generation.report.model_dump_json()) == generation.report


def test_a_noise_schedule_without_change_is_still_reported_in_numbers(micro: LoadedModel) -> None:
    model = replace(micro, entry=micro.entry.model_copy(update={"method": "paper"}))
    request = micro_request(steps=8, sf=2, flow_shift=0.01, allow_uncalibrated=True)
    report = generate(model, request).report
    assert type(report).model_validate_json(report.model_dump_json()) == report
