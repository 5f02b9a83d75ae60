"""What more runs would bring: how well the covariance of some of them predicts the others."""

from collections.abc import Sequence

import numpy as np

from workers.scalingcache import priors, schedule
from workers.scalingcache.covariance import Covariance, mean
from workers.scalingcache.planning import planned


def held_out_errors(runs: Sequence[Covariance], count: int) -> dict[int, float]:
    """By number of runs measured, the mean error of the others, relative to that without any; empty for a single run.

    Error is `schedule.cost` of what a run begins with: that it adapts to what it shows is not in it.

    runs: one generation each, on the same noise levels. count: full steps of the schedule that it is told for.
    """
    without = _error(None, runs, count)
    return {n: _leaving_out(runs, n, count) / without for n in _numbers(len(runs))}


def _numbers(runs: int) -> list[int]:
    return sorted({n for n in (1, 2, 4, 8, 16, 32, runs - 1) if 1 <= n < runs})


def _leaving_out(runs: Sequence[Covariance], n: int, count: int) -> float:
    """Each run predicted by the n that come after it in a circle."""
    errors = []
    for index, run in enumerate(runs):
        measured = mean([runs[(index + 1 + k) % len(runs)] for k in range(n)])
        errors.append(_error(measured, [run], count))
    return float(np.mean(errors))


def _error(measured: Covariance | None, runs: Sequence[Covariance], count: int) -> float:
    start = priors.combined(measured, runs[0].sigmas)
    full = planned(start, count)
    return float(np.mean([schedule.cost(start.matrix, full, run.matrix) for run in runs]))
