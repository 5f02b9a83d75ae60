"""Pyramid Attention Broadcast of diffusers: attention outputs are reused, cross-attention's twice as long as others'.

The library keeps one state for both streams of guidance, and so gives the unconditional one the conditional's
attention; here each stream has its own. Only attention is saved, so its part of the blocks bounds the speedup.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from diffusers import PyramidAttentionBroadcastConfig

from bench.rivals.diffusers_cache import Pipelines, enabled, states_by_stream
from bench.rivals.rival import Knob, Rival, Run, only_transformer
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

RANGES = (2, 3, 4, 6, 8, 12)
TIMESTEPS = (100, 800)  # the library's default, at which attention may be reused


class PyramidAttentionBroadcast(Rival):
    """The range is how many steps attention is reused for."""

    name = "pab"
    title = "PAB (diffusers)"
    knob = "skip range"
    library = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return RANGES

    def full(self, request: GenerationRequest) -> Knob:
        return 1

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        pipelines = Pipelines(model)
        config = PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=int(setting),
            cross_attention_block_skip_range=int(setting) if setting == 1 else 2 * int(setting),
            spatial_attention_timestep_skip_range=TIMESTEPS,
            cross_attention_timestep_skip_range=TIMESTEPS,
            current_timestep_callback=pipelines.timestep,
        )
        with enabled(model, config), states_by_stream(only_transformer(model)):
            yield Run.of(replace(model, family=pipelines.family), request)


RIVALS: list[Rival] = [PyramidAttentionBroadcast()]
