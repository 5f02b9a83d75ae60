"""FirstBlockCache of diffusers: the first block runs; where its residual changed little, that of the rest is reused."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from diffusers import FirstBlockCacheConfig

from bench.rivals.diffusers_cache import DiffusersRival
from bench.rivals.rival import Knob, Rival
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

THRESHOLDS = tuple(float(x) for x in np.geomspace(0.01, 2.0, 10).round(4))
NEVER = -1.0


class FirstBlockCache(DiffusersRival):
    """The threshold is on the change of the first block's residual."""

    name = "first-block-cache"
    title = "FirstBlockCache (diffusers)"
    knob = "threshold"
    scouted = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return NEVER

    def config(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Any:
        return FirstBlockCacheConfig(threshold=float(setting))


RIVALS: list[Rival] = [FirstBlockCache()]
