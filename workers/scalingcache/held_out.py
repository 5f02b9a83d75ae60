"""What more runs would bring: how well the covariance of some of them predicts the others."""

from collections.abc import Sequence

import numpy as np

from workers.scalingcache.covariance import Constraints, Covariance, mean
from workers.scalingcache.quadrature import Response, expected_error
from workers.scalingcache.start import begin


def held_out_errors(
    runs: Sequence[Covariance], response: Response, count: int, constraints: Sequence[Constraints] = ()
) -> dict[int, float]:
    """By number of runs measured, the mean error of the others, relative to that without any; empty for a single run.

    Of the schedule and weights that a run begins with: that it adapts to what it shows is not in it.

    runs: one generation each, on the response's noise levels. count: full steps of the schedule that it is told for.
    constraints: of the covariance of all, which those of fewer runs are told under too.
    """
    without = _error(None, runs, response, count)
    return {n: _leaving_out(runs, n, response, count, constraints) / without for n in _numbers(len(runs))}


def _numbers(runs: int) -> list[int]:
    return sorted({n for n in (1, 2, 4, 8, 16, 32, runs - 1) if 1 <= n < runs})


def _leaving_out(
    runs: Sequence[Covariance], n: int, response: Response, count: int, constraints: Sequence[Constraints]
) -> float:
    """Each run predicted by the n that come after it in a circle."""
    errors = []
    for index, run in enumerate(runs):
        measured = mean([runs[(index + 1 + k) % len(runs)] for k in range(n)]).under(constraints)
        errors.append(_error(measured, [run], response, count))
    return float(np.mean(errors))


def _error(measured: Covariance | None, runs: Sequence[Covariance], response: Response, count: int) -> float:
    start, full = begin(measured, runs[0].sigmas, count)
    return float(np.mean([expected_error(response, start.matrix, full, truth=run.matrix) for run in runs]))
