"""MagCache of diffusers: the residual is reused as long as the magnitudes measured beforehand say that it fits.

The magnitudes are measured by the library's own calibration on the calibration prompts, and averaged over streams. The
longest run of reused steps (K) is 3 by default; more is needed for high speedups.
"""

import ast
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
from diffusers import MagCacheConfig

from bench.rivals.diffusers_cache import DiffusersRival, enabled
from bench.rivals.rival import Case, Knob, Rival
from workers.engine.generation import run_pipeline
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest

THRESHOLDS = tuple(float(x) for x in np.geomspace(0.0005, 1.0, 10).round(4))
NEVER = -1.0


class MagCache(DiffusersRival):
    """longest: the longest run of reused steps, K."""

    knob = "threshold"
    scouted = True

    def __init__(self, longest: int) -> None:
        self.name = f"mag-cache-{longest}"
        self.title = f"MagCache (diffusers), K = {longest}"
        self._longest = longest
        self._ratios: list[float] = []

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return NEVER

    def fit(self, model: LoadedModel, cases: Sequence[Case]) -> None:
        curves = [curve for case in cases for curve in _calibrated(model, case)]
        self._ratios = np.mean(curves, axis=0).tolist()

    def config(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Any:
        return MagCacheConfig(
            threshold=float(setting),
            max_skip_steps=self._longest,
            num_inference_steps=request.steps,
            mag_ratios=self._ratios,
        )


def _calibrated(model: LoadedModel, case: Case) -> list[list[float]]:
    """The magnitude ratios of each stream, which the library prints."""
    printed = StringIO()
    config = MagCacheConfig(calibrate=True, num_inference_steps=case.request.steps)
    with enabled(model, config), redirect_stdout(printed):
        run_pipeline(model, plan_run(model, case.request), None, image=case.image)
    return [ast.literal_eval(line) for line in printed.getvalue().splitlines() if line.startswith("[1")]


RIVALS: list[Rival] = [MagCache(3), MagCache(6)]
