"""What a run begins with: the covariance that it goes by, and which of its steps are computed in full."""

from collections.abc import Sequence

import numpy as np

from workers.scalingcache import budget, priors, schedule
from workers.scalingcache.covariance import Array, Constraints, Covariance, mean
from workers.scalingcache.quadrature import Response, expected_error

STRENGTHS = (priors.STRENGTH, 3.0)
OPENINGS = (1 / 6, 1 / 4, 1 / 3, 1 / 2)
GAIN = 0.9
"""At least this part of the usual constraints' error is what chosen ones have to stay below: less is chance."""


def begin(measured: Covariance | None, sigmas: Array, count: int) -> tuple[Covariance, tuple[int, ...]]:
    """Covariance and full steps of a run.

    measured: what is known of such runs, on any noise levels, with the constraints that it may have; sigmas: the run's
    noise levels, `[steps]`; count: how many steps are computed in full, at least 2.
    """
    chosen = measured.constraints_of(count / len(sigmas)) if measured else None
    if chosen is None:
        start = priors.combined(measured, sigmas)
        opening = budget.opening(count, start.runs)
    else:
        start = priors.combined(measured, sigmas, chosen.strength)
        opening = first_steps(chosen, count)
    # The last step is one of them, unless they are no more than the first two.
    return start, schedule.plan(start.matrix, count, opening, final=min(1, count - opening))


def first_steps(chosen: Constraints, count: int) -> int:
    """How many of so many full steps come first, which leaves one for the end."""
    return max(2, min(count - 1, round(chosen.opening * count)))


def held_out_error(runs: Sequence[Covariance], response: Response, count: int, constraints: Constraints) -> float:
    """The mean noise-to-signal ratio of results, each run predicted by all others under the constraints.

    runs: one generation each, on the response's noise levels.
    """
    errors = []
    for run in runs:
        others = mean([each for each in runs if each is not run]).under([constraints])
        start, full = begin(others, run.sigmas, count)
        errors.append(expected_error(response, start.matrix, full, truth=run.matrix) * run.energy / run.power)
    return float(np.mean(errors))


def choose(runs: Sequence[Covariance], response: Response, counts: Sequence[int]) -> tuple[Constraints, ...]:
    """For each number of full steps the constraints under which left-out runs are predicted best.

    The usual ones stay where no others are clearly better; none are told where too few runs were measured to choose by.
    """
    if len(runs) < budget.ENOUGH_RUNS:
        return ()
    found = []
    for count in counts:
        part = count / response.steps
        usual = Constraints(part, priors.STRENGTH, budget.opening(count, len(runs)) / count)
        errors = {usual: GAIN * held_out_error(runs, response, count, usual)}
        for strength in STRENGTHS:
            for opening in OPENINGS:
                other = Constraints(part, strength, opening)
                errors[other] = held_out_error(runs, response, count, other)
        found.append(min(errors, key=lambda each: errors[each]))
    return tuple(found)
