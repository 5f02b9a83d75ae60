"""Spectrum (https://arxiv.org/abs/2603.01623): ridge regression on Chebyshev polynomials of the step, per stream.

All full steps' outputs are kept. The step is mapped from [0, steps] to [-1, 1], T_0 to T_4 are fitted with lambda 0.1.
A blend of it (w) with a linear extrapolation (1 - w) is what its authors recommend since. Five steps are full, then one
of every window; the window starts at 2 and grows by the knob with every full step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.rivals.forecast import Forecast, Mask, Weights, taylor
from bench.rivals.rival import Knob, MethodRival, Rival, last_block
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

DEGREE, LAMBDA = 4, 0.1
WARM_UP, WINDOW = 5, 2.0
GROWTH = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 1.5, 3.0)
FULL = "a window of 1"


@dataclass(frozen=True)
class Spectrum(MethodRival):
    """w: the part of the regression in the blend."""

    name: str
    title: str
    w: float
    knob = "growth of the window"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return GROWTH

    def full(self, request: GenerationRequest) -> Knob:
        return FULL

    def method(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Forecast:
        window, growth = (1.0, 0.0) if setting == FULL else (WINDOW, float(setting))
        mask = Mask(growing_window(request.steps, window, growth))
        return Forecast(mask, chebyshev(request.steps, self.w), last_block(model), anchors=None)


def growing_window(steps: int, window: float, growth: float) -> set[int]:
    """The full steps of a run."""
    full, predicted = set(), 0
    for step in range(steps):
        if step < WARM_UP or (predicted + 1) % math.floor(window) == 0:
            window = round(window + growth, 3) if step >= WARM_UP else window
            full.add(step)
            predicted = 0
        else:
            predicted += 1
    return full


def chebyshev(steps: int, w: float) -> Weights:
    """The weights of a blend of the ridge regression with a linear extrapolation."""
    linear = taylor(1)

    def basis(at: Sequence[int]) -> NDArray[np.float64]:
        places = 2 * np.asarray(at, dtype=np.float64) / steps - 1
        return np.asarray(np.polynomial.chebyshev.chebvander(places, DEGREE), dtype=np.float64)

    def weights(full_steps: Sequence[int], step: int) -> list[float]:
        design = basis(full_steps)
        ridge = design.T @ design + LAMBDA * np.eye(DEGREE + 1)
        fitted = design @ np.linalg.solve(ridge, basis([step])[0])
        straight = linear(full_steps[-2:], step)
        blend = w * fitted
        blend[-len(straight) :] += (1 - w) * np.asarray(straight)
        return [float(value) for value in blend]

    return weights


RIVALS: list[Rival] = [
    Spectrum("spectrum-1", "Spectrum, w = 1", 1.0),
    Spectrum("spectrum-0.5", "Spectrum, w = 0.5", 0.5),
]
