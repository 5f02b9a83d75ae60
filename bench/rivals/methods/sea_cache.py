"""SeaCache of diffusers: the residual is extrapolated until the spectrally filtered input has changed enough.

At most two steps in a row are reused by default; without that limit higher speedups are reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from diffusers import SeaCacheConfig

from bench.rivals.diffusers_cache import DiffusersRival
from bench.rivals.rival import Knob, Rival
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

THRESHOLDS = tuple(float(x) for x in np.geomspace(0.02, 3.0, 10).round(4))


@dataclass(frozen=True)
class SeaCache(DiffusersRival):
    """longest: the longest run of reused steps; 0 is without limit."""

    name: str
    title: str
    longest: int
    knob = "threshold"
    scouted = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return 0.0

    def config(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Any:
        return SeaCacheConfig(threshold=float(setting), max_consecutive_cached=self.longest)


RIVALS: list[Rival] = [
    SeaCache("sea-cache", "SeaCache (diffusers)", 2),
    SeaCache("sea-cache-unlimited", "SeaCache (diffusers), without its limit of 2", 0),
]
