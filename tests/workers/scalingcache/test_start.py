"""What a run begins with, and how left-out runs choose it."""

from dataclasses import replace

import numpy as np
import pytest

from workers.scalingcache import priors
from workers.scalingcache.covariance import Constraints, Covariance, mean, of_run
from workers.scalingcache.priors import kernel
from workers.scalingcache.quadrature import Response
from workers.scalingcache.start import begin, choose, held_out_error

STEPS, COUNT = 20, 8
LEVELS = np.linspace(1.0, 0.05, STEPS)
EULER = Response(np.ones(STEPS + 1), np.tril(np.ones((STEPS + 1, STEPS)), -1) / STEPS)


def drawn(count: int, dimensions: int, seed: int = 0) -> list[Covariance]:
    """Runs of one kernel, shown through so many elements."""
    factor = np.linalg.cholesky(kernel(LEVELS, 1.0, 1e-2))
    elements = np.random.default_rng(seed).normal(size=(count, STEPS, dimensions))
    return [of_run(LEVELS, (factor @ x) @ (factor @ x).T / dimensions, 1.0) for x in elements]


def with_a_restless_one(count: int) -> list[Covariance]:
    """Runs of which the first has six early outputs that nothing foretells."""
    restless, *others = drawn(count, 10_000)
    noise = np.diag([*[2.0] * 6, *[0.0] * (STEPS - 6)])
    return [replace(restless, matrix=restless.matrix + noise), *others]


def test_without_constraints_the_opening_is_a_quarter_of_the_full_steps_and_the_guess_weighs_little() -> None:
    measured = mean(drawn(8, 100))
    start, full = begin(measured, LEVELS, COUNT)
    assert np.array_equal(start.matrix, priors.combined(measured, LEVELS, priors.STRENGTH).matrix)
    assert full[:2] == (0, 1) and full[-1] == STEPS - 1 and len(full) == COUNT


def test_constraints_are_those_of_the_nearest_part_of_full_steps() -> None:
    chosen = [Constraints(0.2, 3.0, 0.25), Constraints(0.4, 30.0, 0.5)]
    measured = mean(drawn(8, 100)).under(chosen)
    start, full = begin(measured, LEVELS, COUNT)
    assert np.array_equal(start.matrix, priors.combined(measured, LEVELS, 30.0).matrix)
    assert full[:4] == (0, 1, 2, 3)
    assert np.array_equal(begin(measured, LEVELS, 4)[0].matrix, priors.combined(measured, LEVELS, 3.0).matrix)


@pytest.mark.parametrize("opening", [0.0, 0.99])
@pytest.mark.parametrize("count", [2, 3, STEPS])
def test_an_opening_leaves_room_for_the_last_step_and_is_never_below_two(opening: float, count: int) -> None:
    measured = mean(drawn(4, 100)).under([Constraints(0.4, 0.3, opening)])
    full = begin(measured, LEVELS, count)[1]
    assert len(full) == count and full[:2] == (0, 1)
    assert count == 2 or full[-1] == STEPS - 1


def test_constraints_move_along_to_other_noise_levels_into_means_and_to_other_processes() -> None:
    chosen = (Constraints(0.4, 3.0, 0.5),)
    measured = drawn(1, 100)[0].under(chosen)
    assert measured.at(np.linspace(1.0, 0.1, 9)).constraints == chosen
    assert mean([measured, *drawn(2, 100)]).constraints == chosen
    assert Covariance.parsed(measured.table()).constraints == chosen


def test_few_runs_choose_nothing() -> None:
    assert choose(drawn(3, 100), EULER, [COUNT]) == ()


def test_a_run_whose_beginning_the_others_do_not_foretell_chooses_a_longer_opening() -> None:
    runs = with_a_restless_one(6)
    [chosen] = choose(runs, EULER, [12])
    assert chosen.opening == 0.5
    usual = Constraints(12 / STEPS, priors.STRENGTH, 0.25)
    assert held_out_error(runs, EULER, 12, chosen) < 0.9 * held_out_error(runs, EULER, 12, usual)


def test_where_nothing_is_clearly_better_the_usual_constraints_stay() -> None:
    [chosen] = choose(drawn(6, 100_000), EULER, [16])
    assert chosen == Constraints(16 / STEPS, priors.STRENGTH, 0.25)
