"""Of files and observed runs, what a run goes by; and that a number of runs names it for ever."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.workers.micro_wan import micro_request
from workers.engine.covariance_session import CovarianceSession
from workers.engine.generation import generate
from workers.engine.knowledge import MOST_RUNS, known_covariance, worth_keeping
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan, plan_run
from workers.jobs.errors import RequestRefused
from workers.jobs.job import Basis
from workers.scalingcache.budget import LEAST_STEPS
from workers.scalingcache.covariance import Covariance, of_run
from workers.scalingcache.measured import MeasuredCovariance


@pytest.fixture
def plan(micro: LoadedModel) -> RunPlan:
    return plan_run(micro, micro_request())


def shown(plan: RunPlan, seed: int, runs: int = 1) -> MeasuredCovariance:
    """What a run may have shown, each seed something else."""
    levels = plan.sigmas.double().numpy()
    outputs = np.random.default_rng(seed).normal(size=(len(levels), 200)).cumsum(axis=0)
    one = of_run(levels, outputs @ outputs.T / 200, 1.0)
    return MeasuredCovariance(plan.kind, Covariance(one.sigmas, one.matrix, one.energy, one.power, runs))


def asking(plan: RunPlan, runs: int | None) -> RunPlan:
    return replace(plan, request=plan.request.model_copy(update={"basis_runs": runs}))


def test_files_and_observed_runs_count_by_their_runs(plan: RunPlan) -> None:
    covariance = known_covariance([shown(plan, 0, runs=4)], [shown(plan, 1), shown(plan, 2)], plan)
    assert covariance is not None and covariance.runs == 6
    expected = (4 * shown(plan, 0).covariance.matrix + sum(shown(plan, i).covariance.matrix for i in (1, 2))) / 6
    assert covariance.matrix == pytest.approx(expected)


def test_a_number_of_runs_names_what_was_known_then_whatever_came_later(plan: RunPlan) -> None:
    files, then = [shown(plan, 0, runs=4)], [shown(plan, 1), shown(plan, 2)]
    later = [*then, shown(plan, 3), shown(plan, 4)]
    pinned = known_covariance(files, later, asking(plan, 6))
    covariance = known_covariance(files, then, plan)
    assert pinned is not None and covariance is not None
    assert np.array_equal(pinned.matrix, covariance.matrix)
    assert known_covariance(files, later, asking(plan, 0)) is None


@pytest.mark.parametrize(("runs", "allowed"), [(3, "0 or 4 to 5"), (6, "0 or 4 to 5")])
def test_a_number_that_never_was_known_is_refused(plan: RunPlan, runs: int, allowed: str) -> None:
    with pytest.raises(RequestRefused, match=f"basis_runs {runs}.*5 runs are known; allowed: {allowed}"):
        known_covariance([shown(plan, 0, runs=4)], [shown(plan, 1)], asking(plan, runs))


def test_where_nothing_is_known_nothing_else_can_be_asked_for(plan: RunPlan) -> None:
    assert known_covariance([], [], plan) is known_covariance([], [], asking(plan, 0)) is None
    with pytest.raises(RequestRefused, match="0 runs are known; allowed: 0"):
        known_covariance([], [], asking(plan, 1))


def test_runs_of_another_kind_say_nothing(plan: RunPlan) -> None:
    other = replace(shown(plan, 1), kind=replace(plan.kind, size_class=20))
    assert known_covariance([other], [other], plan) is None


def test_of_two_files_of_a_kind_the_one_measured_with_steps_nearest_to_the_runs_holds(plan: RunPlan) -> None:
    levels = np.linspace(1.0, 0.02, 5 * plan.request.steps)
    long = MeasuredCovariance(plan.kind, of_run(levels, np.eye(len(levels)), 1.0))
    for files in ([long, shown(plan, 0)], [shown(plan, 0), long]):
        covariance = known_covariance(files, [], plan)
        assert covariance is not None and np.array_equal(covariance.matrix, shown(plan, 0).covariance.matrix)


def test_enough_runs_of_a_kind_are_enough_and_short_ones_say_too_little(plan: RunPlan) -> None:
    levels = np.linspace(1.0, 0.02, LEAST_STEPS)
    long = MeasuredCovariance(plan.kind, of_run(levels, np.eye(LEAST_STEPS), 1.0))
    assert worth_keeping(long, [long] * (MOST_RUNS - 1))
    assert not worth_keeping(long, [long] * MOST_RUNS)
    assert worth_keeping(long, [replace(long, kind=replace(plan.kind, guidance=False))] * MOST_RUNS)
    assert not worth_keeping(shown(plan, 0), [])


def test_the_same_request_gives_the_same_bytes_after_more_was_learnt_when_it_says_from_how_many_runs(
    micro: LoadedModel,
) -> None:
    seen = [each for seed in (1, 2) if (each := generate(micro, micro_request(sf=12, seed=seed)).covariance)]
    first = generate(micro, micro_request(), observed=seen[:1])
    later = generate(micro, micro_request(), observed=seen)
    again = generate(micro, micro_request(basis_runs=1), observed=seen)
    assert np.array_equal(again.frames, first.frames)
    assert not np.array_equal(later.frames, first.frames)
    assert again.report.account == first.report.account


def test_what_whole_runs_have_chosen_plans_a_run_by_the_file_and_the_answer_says_so(micro: LoadedModel) -> None:
    file = generate(micro, micro_request(sf=12, seed=1)).covariance
    assert file is not None

    def run(model: LoadedModel, **asked: int) -> tuple[str, Basis | None]:
        report = generate(model, micro_request(full_steps=6, **asked)).report
        return report.decisions, report.account and report.account.basis

    bare, measured, tried = (
        replace(micro, covariances=files) for files in ((), (file,), (replace(file, prior_shares={6: 1.0}),))
    )
    planned = generate(bare, micro_request(full_steps=6)).report.decisions
    assert run(measured)[0] != planned
    assert run(tried) == (planned, Basis(kind="measured", runs=1, plan="tried"))
    assert run(measured)[1] == Basis(kind="measured", runs=1, plan="expected")
    without = run(tried, basis_runs=0)[1]
    assert without is not None and (without.runs, without.plan) == (0, "expected")


def test_what_whole_runs_have_chosen_stays_when_more_was_observed(micro: LoadedModel) -> None:
    runs = [each for seed in (1, 2, 3) if (each := generate(micro, micro_request(sf=12, seed=seed)).covariance)]
    tried = replace(micro, covariances=(replace(runs[0], prior_shares={6: 1.0}),))
    before, after = (generate(tried, micro_request(full_steps=6), observed=seen) for seen in ([], runs[1:]))
    bases = [run.report.account and run.report.account.basis for run in (before, after)]
    assert bases == [Basis(kind="measured", runs=runs, plan="tried") for runs in (1, 3)]
    assert after.report.decisions == before.report.decisions
    assert not np.array_equal(after.frames, before.frames), "the weights go by all of them"


@pytest.mark.parametrize(("shift", "counts"), [(2.0, True), (30.0, False), (0.03, False)])
def test_observed_runs_count_near_their_own_noise_levels_alone(
    micro: LoadedModel, plan: RunPlan, shift: float, counts: bool
) -> None:
    there = plan_run(micro, micro_request(flow_shift=shift))
    known = known_covariance([], [shown(there, 1)], plan)
    assert (known is not None) == counts
    assert known_covariance([], [shown(there, 1)], there) is not None
    long, longer_there = (plan_run(micro, micro_request(steps=LEAST_STEPS, flow_shift=each)) for each in (1.0, shift))
    assert worth_keeping(shown(long, 1), [shown(longer_there, 2)] * MOST_RUNS) != counts, "the others leave it room"


def test_a_follower_goes_by_the_plan_of_its_leader(plan: RunPlan) -> None:
    known = shown(plan, 1).covariance
    for tried in (False, True):
        leader = CovarianceSession(plan, known, (0, 1, 4, 7), tried=tried)
        follower = CovarianceSession.made_of(plan, json.loads(json.dumps(leader.recipe)))
        assert follower._forecast.schedule == leader._forecast.schedule
        assert follower.account().basis == leader.account().basis
