"""Where each sample of a run stands, from the outputs that are known.

Every output says what the sample is without its noise, D_i = x_i - σ_i v_i, the step's data.
Data of steps that were not computed are replaced by their best weighted sums of known ones, and the solver takes these.
Where a model takes an error of the sample for noise, its output answers with the error over σ, its data not at all.
So what is made of data stays right near the end, where an answer over a small σ, carried into the gap before, does not.
When later data become known, all samples from there on use them for the gap before as well.
What was an extrapolation becomes an interpolation, and the error that the run had picked up is taken out again.
"""

from collections.abc import Sequence

import numpy as np

from workers.scalingcache.covariance import Array
from workers.scalingcache.response import Response
from workers.scalingcache.weights import best_weights

BEFORE, AFTER = 3, 1
"""How many known steps on either side of a gap its data are made of; BEFORE alone where none comes after."""


class Trajectory:
    """One run so far.

    Its samples and its data are rows `[1 + steps]`: what the first sample counts for in them, and each step's output.
    The data of a step are those of the sample that the model was given, off as that may have been.
    """

    def __init__(self, response: Response, matrix: Array) -> None:
        """matrix: the covariance of the outputs that the run begins with, `[steps, steps]`."""
        self._response = response
        self._data: dict[int, Array] = {}
        self._sample = np.eye(1, 1 + response.steps)[0]
        self.go_by(matrix)

    @property
    def known(self) -> list[int]:
        """The steps that were computed, rising."""
        return list(self._data)

    def go_by(self, matrix: Array) -> None:
        """Take this covariance of the outputs from now on."""
        self._covariance = self._response.data_covariance(matrix)
        self._weights: dict[tuple[int, ...], Array] = {}

    def compute(self, step: int) -> None:
        """The model gets the latest sample at this step, so its output is known."""
        data = self._sample.copy()
        data[1 + step] -= self._response.levels[step]
        self._data[step] = data

    def sample(self, index: int) -> Array:
        """The row of a sample after the latest computed step; the latest that was asked for is what the model gets."""
        known, (start, by_data) = self.known, self._response.by_data
        row: Array = np.zeros(1 + self._response.steps)
        row[0] = start[index]
        for place, step in enumerate(known):
            row += by_data[index, step] * self._data[step]
            gap = slice(step + 1, known[place + 1] if place + 1 < len(known) else index)
            if gap.start < gap.stop:
                around = _around(known, place)
                counts = by_data[index, gap] @ self._made_of(around)[gap]
                row += counts @ np.stack([self._data[each] for each in around])
        self._sample = row
        return row

    def misprediction(self) -> tuple[float, Array]:
        """How far off the output of the latest computed step was predicted from those before it.

        Gives the expected square, in units of the covariance, and the difference as a row `[steps]` of all outputs.
        """
        *before, step = self.known
        around = before[-BEFORE:]
        row = np.zeros(self._response.steps)
        row[around] = -self._made_of(around)[step]
        row[step] = 1.0
        off = row[self.known] @ np.stack(list(self._data.values())) / self._response.levels[step]
        return float(row @ self._covariance @ row) / self._response.levels[step] ** 2, off[1:]

    def _made_of(self, around: Sequence[int]) -> Array:
        """What each step's data are best made of, `[steps, around]`."""
        key = tuple(around)
        if key not in self._weights:
            self._weights[key] = best_weights(self._covariance, np.array([key], dtype=np.intp))[0]
        return self._weights[key]


def _around(known: Sequence[int], place: int) -> list[int]:
    """The known steps that the gap after one of them is made of, that one last."""
    before = known[max(0, place + 1 - BEFORE) : place + 1]
    after = known[place + 1 : place + 1 + AFTER]
    return [*before[:-1], *after, before[-1]]


def expected_error(response: Response, matrix: Array, known: Sequence[int], truth: Array | None = None) -> float:
    """The mean square that a run's result is expected to be off by, in units of the outputs' mean square.

    matrix: what the run goes by; known: the steps that it computes, rising.
    truth: the covariance of the outputs, where it is not the one that the run goes by.
    Of the sum alone: that later outputs are computed from samples that are slightly off is not in it.
    """
    run = Trajectory(response, matrix)
    for step in known:
        if step:
            run.sample(step)
        run.compute(step)
    off = run.sample(response.steps)[1:] - response.outputs[response.steps]
    return max(float(off @ (matrix if truth is None else truth) @ off), 0.0)
