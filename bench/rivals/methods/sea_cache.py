"""SeaCache of diffusers: the residual is extrapolated until the spectrally filtered input has changed enough.

At most two steps in a row are reused by default; without that limit higher speedups are reached. diffusers tells it
the noise levels of Wan's pipeline, and knows where Wan's latents are; here it is told of all pipelines.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from diffusers import SeaCacheConfig
from torch import Tensor, nn

from bench.rivals.diffusers_cache import DiffusersRival, Pipelines, enabled
from bench.rivals.rival import Knob, Rival, Run
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
        return SeaCacheConfig(
            threshold=float(setting), max_consecutive_cached=self.longest, raw_vision_callback=latents_of
        )

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        pipelines = Pipelines(model)
        with enabled(model, self.config(model, request, setting)), _noise_levels_told(model, pipelines):
            yield Run.of(replace(model, family=pipelines.family), request)


def latents_of(transformer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """What a call denoises: for each of the batch, [channels, frames, height, width]. FLUX packs 2 x 2 in a token."""
    noisy: Tensor = kwargs["hidden_states"]
    if noisy.ndim == 5:
        config: Any = transformer.config
        return list(noisy[:, : config.out_channels])  # Behind them an image to video's condition may follow.
    rows, columns = (int(last) + 1 for last in kwargs["img_ids"][:, 1:].amax(0))
    tokens = noisy.view(len(noisy), rows, columns, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return list(tokens.reshape(len(noisy), -1, 1, 2 * rows, 2 * columns))


@contextmanager
def _noise_levels_told(model: LoadedModel, pipelines: Pipelines) -> Iterator[None]:
    """Inside, the cache contexts that a pipeline opens say where the denoising loop is."""

    def telling(opened: Any) -> Any:
        def cache_context(name: str, **told: Any) -> AbstractContextManager[None]:
            context: AbstractContextManager[None] = opened(name, **pipelines.place() | told)
            return context

        return cache_context

    with ExitStack() as undo:
        for transformer in model.family.transformers(model.pipeline):
            transformer.cache_context = telling(transformer.cache_context)
            undo.callback(delattr, transformer, "cache_context")
        yield


RIVALS: list[Rival] = [
    SeaCache("sea-cache", "SeaCache (diffusers)", 2),
    SeaCache("sea-cache-unlimited", "SeaCache (diffusers), without its limit of 2", 0),
]
