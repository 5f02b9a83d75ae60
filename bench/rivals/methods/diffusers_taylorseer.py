"""TaylorSeer as in diffusers, in its lite mode: the blocks return zeros, `proj_out` is forecast.

Its default pattern names attention layers that no Wan model has, and stores an output for each of them; lite mode names
the blocks. Factors are kept in float32, where the default is bfloat16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import TaylorSeerCacheConfig

from bench.rivals.diffusers_cache import DiffusersRival
from bench.rivals.intervals import FIRST, intervals
from bench.rivals.rival import Knob, Rival
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest


@dataclass(frozen=True)
class DiffusersTaylorSeer(DiffusersRival):
    """order: of the expansion."""

    name: str
    title: str
    order: int
    knob = "interval"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return intervals(request)

    def full(self, request: GenerationRequest) -> Knob:
        return 1

    def config(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Any:
        return TaylorSeerCacheConfig(
            cache_interval=int(setting),
            disable_cache_before_step=FIRST,
            max_order=self.order,
            taylor_factors_dtype=torch.float32,
            use_lite_mode=True,
        )


RIVALS: list[Rival] = [
    DiffusersTaylorSeer("diffusers-taylorseer-1", "TaylorSeer lite (diffusers), order 1", 1),
    DiffusersTaylorSeer("diffusers-taylorseer-2", "TaylorSeer lite (diffusers), order 2", 2),
]
