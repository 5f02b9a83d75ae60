"""What a model's covariance is taken for before it was measured, and how a run chooses among such guesses.

A guess is a Matérn-5/2 kernel over the log odds of the noise level, with some jitter from step to step.
On that scale all families look much alike; how smooth they are, and how much they jitter, differs.
A run tells by its first outputs which guess describes it best.
It is the one under which the differences between them are most probable: their inner products are all it takes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from workers.scalingcache.covariance import Array, Covariance, log_odds, normalised

LENGTHS = (1.0, 2.0, 4.0, 8.0)
JITTERS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
USUAL = (2.0, 1e-3)
"""Length and jitter of the guess that stands before a run has shown anything."""
STRENGTH = 0.3
"""Of the usual guess beside what was measured, in runs."""
MARGIN = 0.3
"""How much more probable than what was measured a guess has to make a run to be taken instead, in nats a difference."""
WINDOW = 6
"""How many of the latest outputs the evidence is taken from: what a run was like long ago says little."""


def kernel(sigmas: Array, length: float, jitter: float) -> Array:
    """Matérn-5/2 over log odds with a jitter on its diagonal, `[steps, steps]`."""
    place = log_odds(sigmas)
    distance = np.abs(place[:, None] - place[None, :]) * np.sqrt(5.0) / length
    smooth = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return normalised(smooth + jitter * np.eye(len(sigmas)))


@lru_cache(maxsize=8)  # 0.4 MB each for 50 steps, 160 MB for 1,000
def _kernels(sigmas: tuple[float, ...]) -> Array:
    """All guesses, `[guesses, steps, steps]`."""
    levels = np.array(sigmas)
    return np.stack([kernel(levels, length, jitter) for length in LENGTHS for jitter in JITTERS])


def usual(sigmas: Array) -> Covariance:
    """The guess that stands before a run has shown anything."""
    return Covariance(sigmas, kernel(sigmas, *USUAL))


def combined(measured: Covariance | None, sigmas: Array) -> Covariance:
    """The usual guess and what was measured, if anything, as one: by their runs, on the given noise levels."""
    guess = usual(sigmas)
    if measured is None:
        return guess
    there = measured.at(sigmas)
    matrix = (there.runs * there.matrix + STRENGTH * guess.matrix) / (there.runs + STRENGTH)
    return Covariance(sigmas, matrix, there.energy, there.power, there.runs)


def evidence(matrices: Array, products: Array, steps: Sequence[int]) -> Array:
    """How probable each covariance makes a run's latest outputs, `[covariances]`, in nats a difference.

    The scale of each is fitted. All are told at once: it is asked at every full step.

    matrices: `[covariances, steps, steps]`; products: `[steps, steps]`, inner products of the outputs seen; steps:
    which ones are, in order, at least three.
    """
    index = np.array(steps)
    differences = np.diff(np.eye(len(index)), axis=0)
    guesses = differences @ matrices[:, index[:, None], index] @ differences.T
    shown = differences @ products[np.ix_(index, index)] @ differences.T
    factors = _factors(guesses)
    halves = np.linalg.solve(factors, shown[None])
    scales = np.trace(np.linalg.solve(factors, halves.transpose(0, 2, 1)), axis1=1, axis2=2) / len(shown)
    sizes = np.log(np.diagonal(factors, axis1=1, axis2=2)).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scales > 0, -0.5 * np.log(scales) - sizes, -np.inf)


def _factors(matrices: Array) -> Array:
    """The Cholesky factor of each. Raises `np.linalg.LinAlgError` where one has a negative direction."""
    ridge = 1e-12 * np.trace(matrices, axis1=1, axis2=2)[:, None, None] * np.eye(matrices.shape[-1])
    try:
        return np.linalg.cholesky(matrices + ridge)
    except np.linalg.LinAlgError:  # Where noise levels coincide, a guess without jitter has outputs do so, too.
        return np.linalg.cholesky(matrices + ridge + 1e-12 * np.eye(matrices.shape[-1]))


def fitting(start: Covariance, products: Array, steps: Sequence[int]) -> Array:
    """The covariance a run goes on with, `[steps, steps]`: what it started with, or a guess that describes it better.

    start: from `combined`; products, steps: as for `evidence`, of all outputs so far.
    """
    if len(steps) < 3:
        return start.matrix
    latest = steps[-WINDOW:]
    guesses = _kernels(tuple(start.sigmas))
    try:
        *scores, own = evidence(np.concatenate([guesses, start.matrix[None]]), products, latest)
    except np.linalg.LinAlgError:  # A damaged measurement; what it is good for shows at the next full step.
        return start.matrix
    best = int(np.argmax(scores))
    needed = MARGIN if start.runs else 0.0
    # Outputs that do not change at all say nothing for or against any.
    return guesses[best] if np.isfinite(own) and scores[best] - own > needed else start.matrix
