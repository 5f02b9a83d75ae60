"""What the cache costs in memory, counted over all living tensors of the process rather than by the session itself."""

from typing import Any

import torch

from tests.workers.memory import living_bytes
from tests.workers.micro_wan import BLOCKS, STEPS, micro_request
from workers.caching.transformer import CacheMethod
from workers.engine.generation import ProgressCallbacks, run_pipeline
from workers.engine.loaded import LoadedModel
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import plan_run
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.session import Session


def bytes_at_step(model: LoadedModel, method: CacheMethod | None, step: int) -> int:
    """Living bytes at the end of one step of a run."""
    measured: list[int] = []

    def watch(index: int, *_: Any) -> None:
        if index == step:
            measured.append(living_bytes())

    run_pipeline(
        model, plan_run(model, micro_request()), method and BlocksAttachment(method), ProgressCallbacks(step=watch)
    )
    return measured[0]


def test_the_cache_costs_the_last_block_and_a_few_tokens_of_each_block(micro: LoadedModel) -> None:
    run_pipeline(
        micro, plan_run(micro, micro_request()), None, ProgressCallbacks()
    )  # whatever a first run leaves behind
    step = 7
    plain = bytes_at_step(micro, None, step)
    cached = Session(IntervalSettings(4, kappa=3.0), torch.full((STEPS, BLOCKS), 0.9), watched_tokens=2)
    with_cache = bytes_at_step(micro, cached, step)

    config = micro.pipeline.transformer.config
    channels = config.num_attention_heads * config.attention_head_dim
    tokens = 2 * 2 * 2  # 5 frames of 32 x 32 are 2 x 4 x 4 latents, in patches of 1 x 2 x 2
    last_block = 2 * 2 * tokens * channels * 4  # two streams, y and delta, float32
    watched = 2 * config.num_layers * (cached.watched_tokens * channels + 2) * 4  # and two norms of them
    indices = config.num_layers * cached.watched_tokens * 8
    coefficients = cached.controller.alpha.nbytes
    assert with_cache - plain <= last_block + watched + indices + coefficients + 256
    assert with_cache - plain >= last_block
    assert cached.cache_bytes() == last_block + watched

    cached.close()
    del cached
    assert living_bytes() <= plain
