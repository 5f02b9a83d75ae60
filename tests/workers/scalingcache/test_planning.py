"""From what a run starts with to its full steps."""

from dataclasses import replace

import numpy as np
import pytest

from workers.scalingcache import budget, priors, schedule
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.planning import planned
from workers.scalingcache.priors import kernel

LEVELS = np.linspace(1.0, 0.05, 20)
JUMPY = priors.combined(Covariance(LEVELS, kernel(LEVELS, 0.5, 0.1), runs=8), LEVELS)
"""What many runs have shown, and unlike what one would guess."""
NOTHING = priors.combined(None, LEVELS)


def test_without_the_prior_it_is_the_plan_of_least_expected_error() -> None:
    assert planned(JUMPY, 8) == schedule.plan(JUMPY.matrix, 8, budget.opening(8, 20, 8))


def test_with_the_prior_alone_it_is_the_plan_of_a_run_of_which_nothing_was_measured() -> None:
    for count in range(2, 17):
        assert planned(JUMPY, count, 1.0) == planned(NOTHING, count)
    assert any(planned(JUMPY, count) != planned(NOTHING, count) for count in range(4, 12))


def test_a_part_of_the_prior_moves_full_steps_and_takes_none_away() -> None:
    plans = [{planned(JUMPY, count, share) for share in (0.0, 0.67, 1.0)} for count in range(4, 13)]
    assert max(map(len, plans)) == 3
    assert [{len(plan) for plan in each} for each in plans] == [{count} for count in range(4, 13)]


@pytest.mark.parametrize("count", [2, 3, 9, 19])
def test_the_last_step_is_computed_unless_there_are_but_two(count: int) -> None:
    assert planned(JUMPY, count)[-1] == (1 if count == 2 else 19)


def test_a_single_run_leaves_more_steps_at_first_than_many() -> None:
    assert planned(replace(JUMPY, runs=1), 12)[:4] == (0, 1, 2, 3)
