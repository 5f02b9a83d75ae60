"""How long a run would take, by runs whose times are known."""

from collections.abc import Sequence

import pytest

from tests.workers.factories import a_request
from workers.jobs.job import GenerationRequest
from workers.jobs.pace import MeasuredRun
from workers.models.duration import Durations, Pace, Plan, plan_of
from workers.models.entry import Method


def of(**changes: object) -> GenerationRequest:
    return a_request().model_copy(update=changes)


def a_run(request: GenerationRequest | None = None, full: float = 0.2, full_steps: int = 18) -> MeasuredRun:
    """One that took 0.1 s until its first step, and 0.5 s beside the steps after that."""
    request = request or of()
    cached, predicted = request.steps - full_steps, 0.004
    return MeasuredRun(
        width=request.width,
        height=request.height,
        frames=request.frames,
        guided=request.guidance > 1,
        true_guided=request.true_cfg_scale > 1,
        steps=request.steps,
        sf=request.sf,
        asked_full_steps=request.full_steps,
        full_steps=full_steps,
        cached_steps=cached,
        full_step_seconds=full,
        predicted_step_seconds=predicted if cached else None,
        encode_seconds=0.1,
        seconds=0.6 + full_steps * full + cached * predicted,
        software="this one",
    )


def pace_of(request: GenerationRequest, runs: Sequence[MeasuredRun]) -> Pace | None:
    return Durations("covariance", runs).of(request)[1]


def expected_plan(request: GenerationRequest, method: Method, runs: Sequence[MeasuredRun]) -> Plan | None:
    return Durations(method, runs).of(request)[0]


def least_seconds(request: GenerationRequest, method: Method, runs: Sequence[MeasuredRun]) -> float | None:
    return Durations(method, runs).least_seconds(request, "this one")


@pytest.mark.parametrize(
    ("request_", "plan"),
    [
        (of(), Plan(18, 32)),
        (of(sf=50), Plan(50, 0)),
        (of(sf=45), Plan(50, 0)),  # little gain
        (of(full_steps=25), Plan(25, 25)),
    ],
)
def test_the_plan_is_that_of_the_method(request_: GenerationRequest, plan: Plan) -> None:
    assert plan_of(request_, "covariance") == plan
    assert expected_plan(request_, "covariance", [a_run(of(sf=20), full_steps=30)]) == plan


def test_a_method_that_decides_as_it_goes_has_a_plan_only_without_acceleration() -> None:
    assert plan_of(of(), "paper") is None
    assert plan_of(of(sf=50), "paper") == Plan(50, 0)


def test_runs_with_the_same_settings_tell_how_many_steps_there_were_in_the_end() -> None:
    runs = [a_run(full_steps=full) for full in (18, 20, 21)] + [a_run(of(full_steps=30), full_steps=30)]
    assert expected_plan(of(), "covariance", runs) == Plan(20, 30)
    assert expected_plan(of(), "paper", runs) == Plan(20, 30)
    assert expected_plan(of(sf=12), "paper", runs) is None


def test_times_are_medians_over_runs_of_the_same_size() -> None:
    runs = [a_run(full=seconds) for seconds in (0.1, 0.2, 9.0)]
    pace = pace_of(of(), [*runs, a_run(of(width=192), 1.0)])
    assert pace == Pace(0.2, 0.004, 0.1, pytest.approx(0.5), runs=3, same_size=True)


def test_a_run_is_its_steps_and_what_is_no_step() -> None:
    pace = pace_of(of(), [a_run()])
    assert pace is not None and pace.seconds(Plan(18, 32)) == pytest.approx(18 * 0.2 + 32 * 0.004 + 0.6)


def test_times_of_the_nearest_other_size_are_scaled_by_pixels_and_frames_but_for_the_prompts() -> None:
    runs = [a_run(), a_run(of(width=9600), full=7.0)]
    assert pace_of(of(width=192, frames=66), runs) == Pace(
        pytest.approx(0.8), pytest.approx(0.016), 0.1, pytest.approx(2.0), 1, same_size=False
    )


def test_runs_that_ran_the_transformer_another_number_of_times_a_step_tell_nothing() -> None:
    assert pace_of(of(guidance=1.0), [a_run()]) is None
    assert pace_of(of(true_cfg_scale=2.0), [a_run()]) is None
    assert pace_of(of(), []) is None


def test_an_uncached_run_knows_no_time_of_a_predicted_step() -> None:
    pace = pace_of(of(), [a_run(full_steps=50), a_run(of(), full_steps=50)])
    assert pace is not None and pace.predicted == 0.0
    pace = pace_of(of(), [a_run(full_steps=50), a_run()])
    assert pace is not None and pace.predicted == 0.004
    pace = pace_of(of(), [a_run(full_steps=50), a_run(of(width=192))])
    assert pace is not None and pace.predicted == pytest.approx(0.002), "half of what twice the pixels take"
    assert (pace.runs, pace.same_size, pace.full) == (1, True, 0.2)


def test_durations_say_what_they_do_not_know() -> None:
    durations = Durations("paper", [a_run(of(sf=20), full_steps=32)])
    assert durations.seconds(of()) is None and durations.usual_seconds == pytest.approx(0.6 + 32 * 0.2 + 18 * 0.004)
    assert durations.seconds(of(sf=20)) == pytest.approx(durations.usual_seconds)
    assert Durations("covariance", []).usual_seconds is None


def test_a_run_takes_at_least_what_the_fastest_smaller_one_took() -> None:
    smaller = [a_run(full=9.0), a_run(full=0.3), a_run()]
    larger = [a_run(of(width=960), full=2.0)] * 3
    few = [a_run(of(width=240), full=9.0)] * 2
    seconds = 18 * 0.2 + 32 * 0.004 + 0.5
    runs = [*smaller, *few, *larger]
    assert least_seconds(of(width=480), "covariance", runs) == pytest.approx(5 * seconds + 0.1)
    assert least_seconds(of(width=240), "covariance", few) is None, "the first may have compiled"
    assert least_seconds(of(), "covariance", larger) is None
    assert least_seconds(of(), "paper", smaller) is None
