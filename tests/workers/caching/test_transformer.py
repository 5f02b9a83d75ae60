"""A cache method on a stock Wan transformer: exact where it computes, gone when it is taken off."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.caching.methods import Record, Replay
from tests.workers.micro_wan import BLOCKS, STEPS, micro_request
from workers.caching.transformer import attached
from workers.engine.generation import ProgressCallbacks, run_pipeline
from workers.engine.loaded import LoadedModel
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import plan_run
from workers.jobs.errors import JobCancelled, UnsupportedPipeline
from workers.jobs.job import GenerationRequest
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.session import Session


def session(sf: int = 4, kappa: float = 3.0) -> Session:
    return Session(IntervalSettings(sf, kappa), torch.full((STEPS, BLOCKS), 0.9))


def plain(model: LoadedModel, asked: GenerationRequest) -> np.ndarray:
    """What the stock pipeline gives when nobody else touches it."""
    return run_pipeline(model, plan_run(model, asked), None, ProgressCallbacks())[0]


def test_a_session_that_never_predicts_is_bit_identical_to_the_plain_pipeline(micro: LoadedModel) -> None:
    cached = session(sf=STEPS)
    frames, _ = run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(cached), ProgressCallbacks())
    assert np.array_equal(frames, plain(micro, micro_request()))
    assert cached.controller.decisions == "F" * STEPS


def test_the_head_alone_repeats_the_stock_forward_bit_for_bit(micro: LoadedModel) -> None:
    recorded = Record()
    expected, _ = run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(recorded), ProgressCallbacks())
    replay = Replay(recorded.outputs)
    frames, _ = run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(replay), ProgressCallbacks())
    assert np.array_equal(frames, expected)
    assert replay.blocks_run == STEPS / 2 * 2 * BLOCKS


def test_the_head_handles_a_time_of_its_own_for_every_token(micro: LoadedModel) -> None:
    transformer = micro.pipeline.transformer
    latents, text = torch.randn(1, 4, 2, 4, 4), torch.randn(1, 3, 16)
    timestep = torch.rand(1, 8) * 1000
    recorded = Record()
    with torch.no_grad(), attached(transformer, micro.family.layout(), recorded), transformer.cache_context("cond"):
        expected = transformer(latents, timestep, text, return_dict=False)[0]
    replay = Replay({(1, "cond"): recorded.outputs[0, "cond"]}, step=1)
    with torch.no_grad(), attached(transformer, micro.family.layout(), replay), transformer.cache_context("cond"):
        assert torch.equal(transformer(latents, timestep, text).sample, expected)


def test_no_module_that_only_feeds_the_blocks_runs_at_a_predicted_step(micro: LoadedModel) -> None:
    transformer, cached = micro.pipeline.transformer, session()
    calls = dict.fromkeys(("patch_embedding", "rope", "condition_embedder.text_embedder", "blocks.0", "proj_out"), 0)

    def count(name: str) -> Any:
        return lambda *_: calls.update({name: calls[name] + 1})

    handles = [transformer.get_submodule(name).register_forward_hook(count(name)) for name in calls]
    run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(cached), ProgressCallbacks())
    for handle in handles:
        handle.remove()
    full = cached.controller.decisions.count("F")
    assert 4 <= full < STEPS
    assert calls.pop("proj_out") == 2 * STEPS
    assert set(calls.values()) == {2 * full}


def test_detaching_leaves_no_trace(micro: LoadedModel) -> None:
    transformer = micro.pipeline.transformer
    plain(micro, micro_request())
    before = set(transformer.__dict__)
    run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(session()), ProgressCallbacks())
    assert set(transformer.__dict__) == before
    assert not transformer._diffusers_hook.hooks
    assert all(not block._forward_hooks for block in transformer.blocks)


@pytest.mark.parametrize("error", [JobCancelled("stop"), ValueError("boom")])
def test_after_a_cancel_or_an_exception_the_next_run_is_as_if_nothing_had_been(
    micro: LoadedModel, error: Exception
) -> None:
    expected_plain = plain(micro, micro_request())
    expected_cached, _ = run_pipeline(
        micro, plan_run(micro, micro_request()), BlocksAttachment(session()), ProgressCallbacks()
    )

    def stop(index: int, *_: Any) -> None:
        if index == 6:
            raise error

    broken = session()
    with pytest.raises(type(error)):
        run_pipeline(
            micro, plan_run(micro, micro_request(width=64)), BlocksAttachment(broken), ProgressCallbacks(step=stop)
        )
    assert np.array_equal(plain(micro, micro_request()), expected_plain)
    again, _ = run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(session()), ProgressCallbacks())
    assert np.array_equal(again, expected_cached)


def test_a_closed_session_frees_its_tensors_although_the_pipeline_lives_on(micro: LoadedModel) -> None:
    cached = session()
    run_pipeline(micro, plan_run(micro, micro_request()), BlocksAttachment(cached), ProgressCallbacks())
    alive = [weakref.ref(t) for t in cached.tensors()]
    cached.close()
    gc.collect()
    assert all(ref() is None for ref in alive)


def test_a_failed_attach_is_rolled_back(micro: LoadedModel) -> None:
    transformer, layout = micro.pipeline.transformer, micro.family.layout()
    before = set(transformer.__dict__) | {"_diffusers_hook"}

    def broken_blocks(_: Any) -> Any:
        yield transformer.blocks[0]
        raise RuntimeError("no more blocks")

    with (
        pytest.raises(RuntimeError, match="no more blocks"),
        attached(transformer, type(layout)(broken_blocks, layout.hidden, layout.head), session()),
    ):
        pass
    assert set(transformer.__dict__) == before
    assert not transformer.blocks[0]._forward_hooks


def test_two_methods_on_one_transformer_are_refused(micro: LoadedModel) -> None:
    transformer, layout = micro.pipeline.transformer, micro.family.layout()
    with (
        attached(transformer, layout, session()),
        pytest.raises(UnsupportedPipeline, match="another generation"),
        attached(transformer, layout, session()),
    ):
        pass
    with attached(transformer, layout, session()):
        pass


def test_a_pipeline_without_a_cache_context_is_refused_with_what_is_missing(micro: LoadedModel) -> None:
    transformer = micro.pipeline.transformer
    with (
        attached(transformer, micro.family.layout(), session()),
        pytest.raises(UnsupportedPipeline, match="cache_context"),
    ):
        transformer(torch.randn(1, 4, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 3, 16))
