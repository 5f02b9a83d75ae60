"""FasterCache of diffusers: attention outputs are extrapolated from the two latest.

Its other half, which derives the unconditional output from the conditional one, expects both in one batch. Where they
are called one after the other, as Wan's are, it raises an error. The attention half is what is left, with a state for
each stream as for PAB.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from diffusers import FasterCacheConfig

from bench.rivals.diffusers_cache import Pipelines, enabled, states_by_stream
from bench.rivals.rival import Knob, Refused, Rival, Run, only_transformer
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

RANGES = (2, 3, 4, 6, 8, 12)
TIMESTEPS = (-1, 681)  # the library's default, at which attention may be skipped
NEVER = (-1, -1)


class FasterCache(Rival):
    """halves: whether the unconditional output is derived as well, where there is one."""

    knob = "skip range"
    library = True

    def __init__(self, name: str, title: str, *, halves: bool) -> None:
        self.name = name
        self.title = title
        self._halves = halves

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return RANGES

    def full(self, request: GenerationRequest) -> Knob:
        return 1

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        if not self._halves and not model.family.guided(request):
            raise Refused("it is FasterCache itself where guidance has no second stream")
        pipelines = Pipelines(model)
        config = FasterCacheConfig(
            spatial_attention_block_skip_range=int(setting),
            spatial_attention_timestep_skip_range=NEVER if setting == 1 else TIMESTEPS,
            attention_weight_callback=lambda _module: 0.5,  # the library's default
            current_timestep_callback=pipelines.timestep,
            is_guidance_distilled=not (self._halves and model.family.guided(request)),
        )
        with enabled(model, config), states_by_stream(only_transformer(model)):
            yield Run.of(replace(model, family=pipelines.family), request)


RIVALS: list[Rival] = [
    FasterCache("faster-cache", "FasterCache (diffusers)", halves=True),
    FasterCache("faster-cache-attention", "FasterCache (diffusers), attention half", halves=False),
]
