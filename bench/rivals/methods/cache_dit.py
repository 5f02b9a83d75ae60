"""cache-dit's DBCache: the first block of each list runs; where its residual changed little, the rest is forecast.

By TaylorSeer, DMD, FoCa, or plain reuse, and with its ready masks of steps (SCM) in place of a threshold. F1B0, four
steps at the start in full, no limit of steps in a row. The library patches blocks of FLUX for good, so it is given a
copy of the transformer.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bench.rivals.family import Altered
from bench.rivals.rival import Knob, Rival, Run, only_transformer
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

FIRST = 4
THRESHOLDS = tuple(float(x) for x in np.geomspace(0.01, 3.0, 10).round(4))
MASKS = ("slow", "medium", "fast", "ultra")
NEVER = 0.0

Calibrator = Literal["none", "taylor", "dmd", "foca"]


@dataclass(frozen=True)
class CacheDit(Rival):
    """calibrator: what forecasts the residual. order: of TaylorSeer."""

    name: str
    title: str
    calibrator: Calibrator
    order: int = 1
    knob = "threshold"
    library = True
    scouted = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return NEVER

    def masked(self, request: GenerationRequest, setting: Knob) -> dict[str, Any]:
        """The fields of the library's configuration that say which steps are full."""
        return {"residual_diff_threshold": float(setting)}

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "ERROR")  # read once, when the package is imported
        import cache_dit

        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            max_warmup_steps=FIRST,
            num_inference_steps=request.steps,
            enable_separate_cfg=model.family.guided(request),
            **self.masked(request, setting),
        )
        with ExitStack() as undo:
            undo.enter_context(_copied_transformer(model))
            pipeline = model.family.pipeline(model.pipeline, request)
            cache_dit.enable_cache(pipeline, cache_config=config, calibrator_config=self._calibrator())
            undo.callback(cache_dit.disable_cache, pipeline)
            family: Any = Altered(model.family, pipeline=lambda _loaded, _request: pipeline)
            yield Run.of(replace(model, family=family), request)

    def _calibrator(self) -> Any:
        from cache_dit import DMDCalibratorConfig, FoCaCalibratorConfig, TaylorSeerCalibratorConfig

        made = {
            "none": lambda: None,
            "taylor": lambda: TaylorSeerCalibratorConfig(taylorseer_order=self.order),
            "dmd": DMDCalibratorConfig,
            "foca": FoCaCalibratorConfig,
        }
        return made[self.calibrator]()


@dataclass(frozen=True)
class StepsMask(CacheDit):
    """The library's own masks of steps, at which the threshold says nothing."""

    knob = "mask"
    scouted = False

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return MASKS

    def full(self, request: GenerationRequest) -> Knob:
        return "all"

    def masked(self, request: GenerationRequest, setting: Knob) -> dict[str, Any]:
        import cache_dit

        every = [1] * request.steps
        mask = every if setting == "all" else cache_dit.steps_mask(mask_policy=setting, total_steps=request.steps)
        return {"steps_computation_mask": mask, "steps_computation_policy": "static"}


@contextmanager
def _copied_transformer(model: LoadedModel) -> Iterator[None]:
    """Inside, the pipeline has a copy of its transformer."""
    own = only_transformer(model)
    model.pipeline.transformer = deepcopy(own)
    try:
        yield
    finally:
        model.pipeline.transformer = own


RIVALS: list[Rival] = [
    CacheDit("dbcache", "DBCache (cache-dit)", "none"),
    CacheDit("dbcache-taylor-1", "DBCache (cache-dit) with TaylorSeer, order 1", "taylor"),
    CacheDit("dbcache-taylor-2", "DBCache (cache-dit) with TaylorSeer, order 2", "taylor", order=2),
    CacheDit("dbcache-dmd", "DBCache (cache-dit) with DMD", "dmd"),
    CacheDit("dbcache-foca", "DBCache (cache-dit) with FoCa", "foca"),
    StepsMask("scm", "SCM (cache-dit) with TaylorSeer, order 1", "taylor"),
]
