"""The schedule of full steps."""

from itertools import combinations

import numpy as np
import pytest

from workers.scalingcache.priors import kernel, usual
from workers.scalingcache.schedule import cost, plan
from workers.scalingcache.weights import best_weights

LEVELS = np.linspace(1.0, 0.02, 50)


@pytest.mark.parametrize(("count", "opening", "final"), [(18, 4, 1), (18, 10, 1), (11, 2, 1), (4, 2, 2), (3, 2, 1)])
def test_it_has_exactly_so_many_full_steps_with_its_opening_and_its_end(count: int, opening: int, final: int) -> None:
    full = plan(usual(LEVELS).matrix, count, opening, final)

    assert len(full) == len(set(full)) == count
    assert full[:opening] == tuple(range(opening))
    assert full[len(full) - final :] == tuple(range(50 - final, 50))


def test_all_steps_are_a_schedule_too() -> None:
    assert plan(usual(LEVELS).matrix, 50, 2) == tuple(range(50))


def test_its_cost_is_how_far_off_its_predictions_are() -> None:
    levels = np.linspace(1.0, 0.1, 8)
    matrix, truth = usual(levels).matrix, kernel(levels, 1.0, 1e-1)
    values = np.linalg.cholesky(truth) @ np.random.default_rng(0).normal(size=(8, 100_000))

    predicted = {3: [0, 1, 2], 5: [1, 2, 4], 6: [1, 2, 4]}
    squares = 0.0
    for step, known in predicted.items():
        weights = best_weights(matrix, np.array([known]))[0, step]
        squares += ((weights @ values[known] - values[step]) ** 2).mean()

    assert cost(matrix, (0, 1, 2, 4, 7), truth) == pytest.approx(squares, rel=0.02)
    assert cost(matrix, tuple(range(8)), truth) == 0.0


def test_it_is_the_best_of_all_choices() -> None:
    matrix = usual(np.linspace(1.0, 0.1, 12)).matrix

    chosen = plan(matrix, 6, 3)

    every = [(0, 1, 2, *middle, 11) for middle in combinations(range(3, 11), 2)]
    assert cost(matrix, chosen, matrix) == pytest.approx(min(cost(matrix, full, matrix) for full in every))


def test_full_steps_gather_where_outputs_change_fast() -> None:
    speed = np.where((np.arange(40) > 15) & (np.arange(40) < 25), 1.0, 0.05)
    place = speed.cumsum()
    matrix = np.exp(-0.5 * (place[:, None] - place[None, :]) ** 2) + 1e-6 * np.eye(40)

    full = plan(matrix, 14, 2)

    assert sum(15 <= step <= 25 for step in full) >= 7


@pytest.mark.parametrize(("count", "opening", "final"), [(1, 2, 0), (4, 4, 1), (51, 2, 1), (5, 1, 1), (5, 2, -1)])
def test_numbers_that_do_not_fit_are_refused(count: int, opening: int, final: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        plan(usual(LEVELS).matrix, count, opening, final)
