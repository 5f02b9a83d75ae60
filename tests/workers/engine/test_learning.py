"""What becomes of what uncached runs have shown: held back until predictions get better by it, and never moved."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.workers.micro_wan import micro_request
from workers.engine.knowledge import MOST_RUNS
from workers.engine.learning import ObservedRun, counting, known_runs, learnt, readable
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan, plan_run
from workers.scalingcache.budget import LEAST_STEPS
from workers.scalingcache.covariance import of_run
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.priors import kernel


@pytest.fixture
def plan(micro: LoadedModel) -> RunPlan:
    return plan_run(micro, micro_request(steps=LEAST_STEPS))


def shown(plan: RunPlan, seed: int, length: float = 1.0, jitter: float = 3e-2) -> MeasuredCovariance:
    """What a run may have shown, each seed nearly the same."""
    levels = plan.sigmas.double().numpy()
    outputs = np.linalg.cholesky(kernel(levels, length, jitter)) @ np.random.default_rng(seed).normal(
        size=(len(levels), 20_000)
    )
    return MeasuredCovariance(plan.kind, of_run(levels, outputs @ outputs.T / 20_000, 1.0))


def same(some: list[MeasuredCovariance], others: list[MeasuredCovariance]) -> bool:
    return [id(each) for each in some] == [id(each) for each in others]


def test_the_first_run_is_held_back_and_the_second_that_agrees_brings_both_into_force(plan: RunPlan) -> None:
    observed: list[ObservedRun] = []
    verdicts = []
    for seed in (1, 2):
        verdict, run = learnt([], observed, plan, shown(plan, seed))
        assert run is not None
        verdicts.append((verdict, len(counting([*observed, run]))))
        observed.append(run)
    assert verdicts == [("held_back", 0), ("promoted", 2)]


def test_the_same_run_again_is_no_second_one(plan: RunPlan) -> None:
    unusual = shown(plan, 4, length=8.0, jitter=0.0)
    again = replace(unusual, covariance=replace(unusual.covariance, matrix=unusual.covariance.matrix * (1 + 1e-5)))
    assert learnt([], [ObservedRun(unusual, False)], plan, again) == ("known", None)


def test_a_run_unlike_the_others_is_held_back_and_leaves_what_counts_alone(plan: RunPlan) -> None:
    observed = [ObservedRun(shown(plan, seed), promotes=seed == 3) for seed in (1, 2, 3)]
    verdict, run = learnt([], observed, plan, shown(plan, 4, length=8.0, jitter=0.0))
    assert run is not None and verdict == "held_back"
    assert counting([*observed, run]) == [each.shown for each in observed]


def test_what_counts_only_grows_at_its_end_as_the_list_does(plan: RunPlan) -> None:
    promotes = [False, True, False, False, True, False]
    listed = [ObservedRun(shown(plan, seed), each) for seed, each in enumerate(promotes)]
    before: list[MeasuredCovariance] = []
    sizes = []
    for length in range(len(listed) + 1):
        now = counting(listed[:length])
        assert all(one is other for one, other in zip(before, now, strict=False)), "a number of runs names them"
        sizes.append(len(now))
        before = now
    assert sizes == [0, 0, 2, 2, 2, 5, 5]


def test_a_run_of_another_kind_brings_none_of_this_one_into_force(plan: RunPlan) -> None:
    other = replace(shown(plan, 1), kind=replace(plan.kind, size_class=20))
    listed = [ObservedRun(shown(plan, 0), False), ObservedRun(other, True)]
    assert counting(listed) == [other]
    assert known_runs([], listed, plan) == 1


def test_runs_at_another_shift_bring_none_of_this_one_into_force(plan: RunPlan, micro: LoadedModel) -> None:
    there = plan_run(micro, micro_request(steps=LEAST_STEPS, flow_shift=0.03))
    here, far = ObservedRun(shown(plan, 0), False), [ObservedRun(shown(there, seed), seed == 2) for seed in (1, 2)]
    assert same(counting([here, *far]), [each.shown for each in far])
    assert (known_runs([], [here, *far], plan), known_runs([], [here, *far], there)) == (1, 2)
    verdict, run = learnt([], [here, *far], plan, shown(plan, 3))
    assert run is not None and verdict == "promoted"
    assert same(counting([here, *far, run]), [each.shown for each in (*far, here, run)]), "as they came to count"


def test_what_came_to_count_later_never_moves_what_counted_before(plan: RunPlan, micro: LoadedModel) -> None:
    """A number of runs names the first ones, also where one that was held back first counts last."""
    shifts = [16.0, 1.0, 1.0, 16.0, 16.0]
    plans = [plan_run(micro, micro_request(steps=LEAST_STEPS, flow_shift=shift)) for shift in shifts]
    listed = [ObservedRun(shown(each, seed), seed in (2, 4)) for seed, each in enumerate(plans)]
    orders = [counting(listed[:length]) for length in range(len(listed) + 1)]
    assert all(same(before, now[: len(before)]) for before, now in pairwise(orders))
    assert [len(order) for order in orders] == [0, 0, 0, 2, 2, 5]


def test_the_same_picture_with_a_few_steps_more_is_no_second_run(plan: RunPlan, micro: LoadedModel) -> None:
    longer = plan_run(micro, micro_request(steps=LEAST_STEPS + 1))
    levels = longer.sigmas.double().numpy()
    once = shown(plan, 4, length=8.0, jitter=1e-4)
    again = replace(once, covariance=once.covariance.at(levels))
    assert learnt([], [ObservedRun(once, False)], longer, again) == ("known", None)
    assert learnt([], [ObservedRun(shown(plan, 5), False)], longer, again)[0] != "known"


def test_an_entry_goes_through_its_text_and_one_of_before_counts(plan: RunPlan) -> None:
    run = ObservedRun(shown(plan, 1), promotes=False)
    assert not ObservedRun.parsed(run.text()).promotes
    assert ObservedRun.parsed(run.text()).shown.kind == plan.kind
    assert ObservedRun.parsed(run.shown.text()).promotes


@pytest.mark.parametrize("text", ["", "null", "[]", "[" * 100_000, '{"schema": 3}'])
def test_an_entry_that_cannot_be_read_is_left_out(plan: RunPlan, text: str) -> None:
    run = ObservedRun(shown(plan, 1), promotes=True)
    assert [each.promotes for each in readable("m", [text, run.text()])] == [True]


def test_short_runs_and_those_beyond_enough_are_not_needed(plan: RunPlan, micro: LoadedModel) -> None:
    short = plan_run(micro, micro_request(steps=LEAST_STEPS - 1))
    assert learnt([], [], short, shown(short, 1)) == ("not_needed", None)
    assert learnt([], [ObservedRun(shown(plan, 1), True)] * MOST_RUNS, plan, shown(plan, 2)) == ("not_needed", None)
    assert learnt([], [], plan, None) == ("not_needed", None)


def test_runs_of_files_are_known_runs(plan: RunPlan) -> None:
    eight = shown(plan, 1)
    eight = replace(eight, covariance=replace(eight.covariance, runs=8))
    assert known_runs([eight], [ObservedRun(shown(plan, 2), False)], plan) == 9
