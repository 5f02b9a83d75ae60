"""Whether new runs are to count."""

import numpy as np
import pytest

from tests.workers.scalingcache.solvers import levels
from workers.scalingcache.covariance import Covariance, mean, of_run
from workers.scalingcache.priors import USUAL, kernel
from workers.scalingcache.promotion import held_out

STEPS = 20
LEVELS = levels(STEPS)
MANY = 100_000


def runs(count: int, length: float, jitter: float, elements: int = MANY, seed: int = 0) -> list[Covariance]:
    """Runs that show a kernel, through few or many elements."""
    factor = np.linalg.cholesky(kernel(LEVELS, length, jitter))
    drawn = np.random.default_rng(seed).normal(size=(count, STEPS, elements))
    return [of_run(LEVELS, (factor @ x) @ (factor @ x).T / elements, 1.0) for x in drawn]


#: Unlike the usual guess, and unlike each other.
SMOOTH, ROUGH = (8.0, 0.0), (1.0, 3e-2)


def test_a_single_run_has_nothing_to_be_held_against() -> None:
    assert held_out(None, [], runs(1, *ROUGH), 8) is None
    assert held_out(mean(runs(8, *ROUGH)), [], runs(1, *ROUGH, seed=1), 8) is None


@pytest.mark.parametrize(
    ("counting", "new", "falls"),
    [
        ([], runs(2, *ROUGH), True),  # two that agree are better than the guess
        (runs(3, *ROUGH), runs(1, *SMOOTH, seed=1), False),  # of another sort than those that count
        (runs(2, *ROUGH, elements=25), runs(6, *ROUGH, elements=MANY, seed=1), True),  # clearer than those that count
        ([], runs(2, *USUAL, elements=4, seed=3), False),  # nothing but noise
    ],
    ids=["two alike", "an odd one", "more of the same, clearer", "noise"],
)
def test_new_runs_count_where_those_left_out_are_predicted_better(
    counting: list[Covariance], new: list[Covariance], falls: bool
) -> None:
    found = held_out(None, counting, new, 8)
    assert found is not None
    assert found.falls is falls, found


def test_what_files_say_counts_on_both_sides() -> None:
    files = mean(runs(8, *ROUGH))
    alike = held_out(files, [], runs(2, *ROUGH, seed=1), 8)
    alone = held_out(None, [], runs(2, *ROUGH, seed=1), 8)
    assert alike is not None and alone is not None
    assert alike.now < alone.now
    assert alike.then == pytest.approx(alike.now, rel=0.05)


def test_the_same_runs_in_another_order_are_judged_alike() -> None:
    counting, new = runs(3, *ROUGH, elements=40), runs(3, *ROUGH, elements=40, seed=1)
    one, other = held_out(None, counting, new, 8), held_out(None, counting[::-1], new[::-1], 8)
    assert one == pytest.approx(other, rel=1e-9)
