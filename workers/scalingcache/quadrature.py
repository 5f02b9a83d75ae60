"""A sampler as what it is, a weighted sum: where each sample of a run stands, from the outputs that are known.

A deterministic solver's samples are linear in the model's outputs: x_n = a_n x_0 + Σ_{i<n} R_ni v_i.
Outputs that were not computed are replaced by their best weighted sums of known ones.
When a later output becomes known, all samples from there on use it for the earlier gaps as well.
What was an extrapolation becomes an interpolation, and the error that the run had picked up is taken out again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workers.scalingcache.covariance import Array
from workers.scalingcache.weights import best_weights

BEFORE, AFTER = 3, 2
"""How many known outputs on either side of a gap its outputs are made of; as many as BEFORE where none comes after."""


@dataclass(frozen=True)
class Response:
    """How a solver's samples depend on what goes in, for one schedule.

    start: `[steps + 1]`, a_n: of the first sample; sample n is the one that step n begins with, the last the result.
    outputs: `[steps + 1, steps]`, R_ni: of the model's outputs; 0 where i >= n.
    """

    start: Array
    outputs: Array

    @property
    def steps(self) -> int:
        return len(self.start) - 1


def sample_weights(response: Response, matrix: Array, known: Sequence[int], sample: int) -> Array:
    """What each known output counts for in a sample, `[known]`.

    matrix: the run's covariance `[steps, steps]`; known: the steps before `sample` whose outputs are known, rising.
    """
    counts = dict.fromkeys(known, 0.0)
    for index, step in enumerate(known):
        counts[step] += response.outputs[sample, step]
        gap = range(step + 1, known[index + 1] if index + 1 < len(known) else sample)
        if not len(gap):
            continue
        around = _around(known, index)
        weights = best_weights(matrix, np.array([around], dtype=np.intp))[0, gap.start : gap.stop]
        for neighbour, weight in zip(around, response.outputs[sample, gap.start : gap.stop] @ weights, strict=True):
            counts[neighbour] += float(weight)
    return np.array([counts[step] for step in known])


def _around(known: Sequence[int], index: int) -> list[int]:
    """The known steps that the gap after `known[index]` is made of, that step last."""
    before = known[max(0, index + 1 - BEFORE) : index + 1]
    after = known[index + 1 : index + 1 + AFTER]
    return [*before[:-1], *after, before[-1]]


def expected_error(response: Response, matrix: Array, known: Sequence[int], truth: Array | None = None) -> float:
    """The mean square that a run's result is expected to be off by, in units of the outputs' mean square.

    truth: the covariance of the outputs, where it is not the one that the weights were taken from.
    Of the sum alone: that later outputs are computed from samples that are slightly off is not in it.
    """
    combination = -response.outputs[response.steps]
    combination[list(known)] += sample_weights(response, matrix, known, response.steps)
    return max(float(combination @ (matrix if truth is None else truth) @ combination), 0.0)
