"""What more measured runs bring."""

import numpy as np

from tests.workers.scalingcache.solvers import levels
from workers.scalingcache.covariance import Covariance, of_run
from workers.scalingcache.held_out import held_out_errors
from workers.scalingcache.priors import kernel

STEPS = 20
LEVELS = levels(STEPS)


def runs(count: int, dimensions: int) -> list[Covariance]:
    """Runs that show a covariance unlike the usual guess, through few or many elements."""
    factor = np.linalg.cholesky(kernel(LEVELS, 1.0, 3e-2))
    drawn = np.random.default_rng(0).normal(size=(count, STEPS, dimensions))
    return [of_run(LEVELS, (factor @ x) @ (factor @ x).T / dimensions, 1.0) for x in drawn]


def test_a_single_run_holds_nothing_out() -> None:
    assert held_out_errors(runs(1, 100), 8) == {}


def test_it_is_told_for_one_run_and_for_all_but_one() -> None:
    assert list(held_out_errors(runs(6, 100), 8)) == [1, 2, 4, 5]


def test_of_runs_that_vary_more_are_better_and_of_runs_alike_one_is_enough() -> None:
    varied, alike = held_out_errors(runs(9, 30), 8), held_out_errors(runs(9, 100_000), 8)

    assert varied[8] < varied[1]
    assert alike[1] < 1.0, "better than the usual guess"
    assert alike[8] > 0.9 * alike[1]
