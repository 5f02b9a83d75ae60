"""Which steps are computed in full: of all choices of as many steps, the one with the least expected error."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from workers.scalingcache.covariance import Array
from workers.scalingcache.trajectory import BEFORE
from workers.scalingcache.weights import expected_errors

LONGEST = 16
"""Most predicted steps between two full ones, where enough full steps are left to keep to it.

The last gap alone, before the final steps, may be longer."""

_Ways = dict[tuple[int, ...], tuple[float, tuple[int, ...]]]
"""By its latest full steps, a way's cost so far and all its full steps."""


def plan(matrix: Array, count: int, opening: int, final: int = 1) -> tuple[int, ...]:
    """The full steps of a run, rising.

    matrix: the run's covariance `[steps, steps]`; count: how many full steps.
    opening, final: how many of them are the run's first and last ones, opening at least 2.

    Dynamic programming over the two latest full steps.
    The cost of a way is the sum of the expected squared errors of the predictions it needs.

    Raises `ValueError` where the numbers do not fit into each other.
    """
    steps = len(matrix)
    if not (opening >= 2 and final >= 0 and opening + final <= count <= steps):
        raise ValueError(f"{opening} full steps first and {final} last do not fit into {count} of {steps}")
    if count == steps:
        return tuple(range(steps))
    return _best(matrix.tobytes(), steps, count - opening - final, opening, steps - final)


@lru_cache(maxsize=64)
def _best(matrix: bytes, steps: int, free: int, opening: int, end: int) -> tuple[int, ...]:
    """Requests of one kind have one matrix, until something new is measured: the search is as long as some steps of a
    small model."""
    return _Search(np.frombuffer(matrix).reshape(steps, steps), free, opening, end).best()


def cost(matrix: Array, full: Sequence[int], truth: Array) -> float:
    """The sum of the squared errors that a run's predictions are expected to have; what `plan` makes least.

    matrix: what the run goes by; full: its full steps, rising; truth: the covariance that its outputs have.
    """
    ends = [*full[1:], len(matrix)]
    sums = []
    for place, (latest, end) in enumerate(zip(full, ends, strict=True)):
        known = np.array([full[max(0, place + 1 - BEFORE) : place + 1]], dtype=np.intp)
        sums.append(expected_errors(matrix, known, truth)[0, latest + 1 : end].sum())
    return float(np.sum(sums))


class _Search:
    """The search between the opening and the end. free: how many full steps lie there; end: the first final one."""

    def __init__(self, matrix: Array, free: int, opening: int, end: int) -> None:
        self._matrix, self._free, self._opening, self._end = matrix, free, opening, end
        self._longest = max(LONGEST, -(-(end - opening) // (free + 1)))

    def best(self) -> tuple[int, ...]:
        opening = tuple(range(self._opening))
        ways: _Ways = {opening[-BEFORE:]: (0.0, opening)}
        for left in range(self._free - 1, -1, -1):
            ways = self._longer(ways, left)
        costs = self._costs(ways)
        _, way = min((cost + costs[known][self._end], way) for known, (cost, way) in ways.items())
        return (*way, *range(self._end, len(self._matrix)))

    def _longer(self, ways: _Ways, left: int) -> _Ways:
        """All ways with one more full step; of those that share their two latest ones, the best.

        left: how many more have to fit in before the end.
        """
        best: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {}
        costs = self._costs(ways)
        for known, (cost, way) in ways.items():
            latest = known[-1]
            for step in range(latest + 1, min(latest + 1 + self._longest, self._end - left - 1) + 1):
                total = cost + costs[known][step]
                if (latest, step) not in best or total < best[latest, step][0]:
                    best[latest, step] = (total, (*way, step))
        return {way[-BEFORE:]: (cost, way) for cost, way in best.values()}

    def _costs(self, ways: _Ways) -> dict[tuple[int, ...], list[float]]:
        """By latest full steps and step: the expected squared error of predicting all steps between them."""
        known = np.array(list(ways), dtype=np.intp)
        errors = expected_errors(self._matrix, known)
        errors[np.arange(errors.shape[1]) <= known[:, -1:]] = 0.0
        sums = np.concatenate([np.zeros((len(known), 1)), errors.cumsum(axis=1)], axis=1)
        return dict(zip(ways, sums.tolist(), strict=True))
