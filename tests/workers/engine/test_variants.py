"""Every kind of checkpoint through the same engine: what it relies on in diffusers, and exact where it computes."""

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.caching.methods import Record, Replay
from tests.workers.engine.variants import STEPS, Variant
from workers.caching.transformer import CacheMethod, attached
from workers.engine.generation import Frames, ProgressCallbacks, generate, run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import plan_run
from workers.jobs.errors import JobCancelled
from workers.jobs.job import GenerationRequest, Reason, ReasonCode

NOBODY = ProgressCallbacks()


@pytest.fixture
def run(variant: Variant, model: LoadedModel) -> Callable[..., Frames]:
    """The frames of a request, with a method attached or without."""

    def run(asked: GenerationRequest, method: CacheMethod | None = None, watcher: ProgressCallbacks = NOBODY) -> Frames:
        session = None if method is None else BlocksAttachment(method)
        return run_pipeline(model, plan_run(model, asked), session, watcher, variant.picture)[0]

    return run


Run = Callable[..., Frames]


def test_a_run_without_the_cache_is_bit_identical_to_the_stock_pipeline(
    model: LoadedModel, variant: Variant, folder: Path
) -> None:
    request = variant.request(model, sf=STEPS)
    stock = variant.stock.from_pretrained(folder)
    stock.set_progress_bar_config(disable=True)
    only_some = {"num_frames": request.frames if model.family.media == "video" else None}
    only_some |= {"guidance_scale_2": request.guidance_2, "image": variant.picture}
    only_some |= {"true_cfg_scale": variant.asked.get("true_cfg_scale")}
    output = stock(
        prompt="red circle", negative_prompt=request.negative_prompt, width=request.width, height=request.height,
        num_inference_steps=STEPS, guidance_scale=request.guidance,
        max_sequence_length=model.entry.defaults.max_sequence_length, generator=torch.Generator().manual_seed(7),
        output_type="np", **{name: value for name, value in only_some.items() if value is not None},
    )  # fmt: skip
    expected = output.images if model.family.media == "image" else output.frames[0]
    generation = generate(model, request, image=variant.picture)
    assert generation.frames.shape == (request.frames, request.height, request.width, 3)
    assert np.array_equal(generation.frames, (expected * 255).round().astype(np.uint8))
    assert generation.report.reason == Reason(code=ReasonCode.NOT_REQUESTED)


def test_a_cache_that_never_predicts_is_bit_identical_to_none(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    method = variant.relay(model, asked, sf=STEPS)
    assert np.array_equal(run(asked, method), run(asked))
    assert method.decisions == "F" * STEPS


def test_each_block_shows_the_picture_and_not_the_text_in_the_order_in_which_it_runs(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    recorded = Record()
    run(asked, recorded)
    step = [(stream, block) for stream in variant.streams for block in range(variant.blocks)]
    assert [(stream, block) for stream, block, _ in recorded.seen] == step * STEPS
    assert {shape for _, _, shape in recorded.seen} == {(1, variant.tokens, 24)}
    assert len(model.family.layout().blocks(model.pipeline.transformer)) == variant.blocks
    assert model.family.guided(asked) == ("uncond" in variant.streams)


def test_the_head_alone_repeats_the_stock_forward_bit_for_bit(
    variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    recorded = Record()
    expected = run(asked, recorded)
    replay = Replay(recorded.outputs)
    assert np.array_equal(run(asked, replay), expected)
    assert replay.blocks_run == STEPS / 2 * variant.blocks * len(variant.streams)


def test_at_a_predicted_step_nothing_runs_but_what_the_head_needs(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    method = variant.relay(model, asked)
    ran: dict[bool, set[str]] = {True: set(), False: set()}

    def note(name: str) -> Callable[..., None]:
        return lambda *_: ran[method.full].add(name)

    for transformer in model.family.transformers(model.pipeline):
        for name, module in transformer.named_modules():
            module.register_forward_hook(note(name))
    run(asked, method)
    assert "P" in method.decisions
    assert variant.head <= ran[False]
    assert [name for name in ran[False] if not name.startswith(tuple(variant.head))] == [""]
    assert ran[True] > ran[False] | variant.feeds


def test_the_head_answers_in_both_forms_of_the_forward(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    calls: list[tuple[torch.nn.Module, dict[str, Any]]] = []

    def note(transformer: torch.nn.Module, _args: object, arguments: dict[str, Any]) -> None:
        calls.append((transformer, arguments))

    for each in model.family.transformers(model.pipeline):
        each.register_forward_pre_hook(note, with_kwargs=True)
    run(asked)
    transformer, arguments = calls[-1]
    layout, recorded = model.family.layout(), Record()
    with torch.no_grad(), attached(transformer, layout, recorded), transformer.cache_context("cond"):
        expected = transformer(**arguments | {"return_dict": True}).sample
    replay = Replay({(1, "cond"): recorded.outputs[0, "cond"]}, step=1)
    with torch.no_grad(), attached(transformer, layout, replay), transformer.cache_context("cond"):
        assert torch.equal(transformer(**arguments | {"return_dict": True}).sample, expected)
        assert torch.equal(transformer(**arguments | {"return_dict": False})[0], expected)


def test_a_warm_model_gives_the_bytes_of_a_cold_one_also_after_an_exception(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    cold = load_model(model.entry, model.family)
    session = BlocksAttachment(variant.relay(cold, asked))
    expected, _ = run_pipeline(cold, plan_run(cold, asked), session, NOBODY, variant.picture)

    def stop(index: int, *_: Any) -> None:
        if index == 8:
            raise JobCancelled("stop")

    other = variant.request(model, **variant.other)
    run(other, variant.relay(model, other, sf=3))
    with pytest.raises(JobCancelled):
        run(other, variant.relay(model, other), ProgressCallbacks(step=stop))
    method = variant.relay(model, asked)
    assert np.array_equal(run(asked, method), expected)
    assert "P" in method.decisions


def test_the_segments_are_the_steps_at_which_the_stock_pipeline_calls_each_transformer(
    model: LoadedModel, variant: Variant, asked: GenerationRequest, run: Run
) -> None:
    calls: list[int] = []
    for index, each in enumerate(model.family.transformers(model.pipeline)):
        each.register_forward_pre_hook(lambda *_, index=index: calls.append(index))
    run(asked)
    segments = plan_run(model, asked).segments
    assert calls == [index for index, steps in enumerate(segments) for _ in range(steps * len(variant.streams))]
    assert all(segments)
    assert len(segments) == (2 if model.entry.defaults.guidance_2 else 1)


def test_a_request_without_a_flow_shift_gets_the_checkpoints_own_whatever_ran_before(
    model: LoadedModel, variant: Variant, run: Run
) -> None:
    stock = dict(model.pipeline.scheduler.config)
    if model.family.flow_shift:
        run(variant.request(model, flow_shift=3.0, steps=2))
    plan = plan_run(model, variant.request(model, flow_shift=None))
    assert dict(plan.scheduler.config) == stock


def test_the_noise_levels_are_those_of_the_pipelines_own_call(
    model: LoadedModel, variant: Variant, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, used = variant.request(model, **variant.other), []
    step = type(model.pipeline.scheduler).step

    def noted(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        used.append(scheduler.sigmas[:STEPS].clone())
        return step(scheduler, *args, **kwargs)

    monkeypatch.setattr(type(model.pipeline.scheduler), "step", noted)
    run(request)
    expected = plan_run(model, request).sigmas
    assert len(used) == STEPS
    assert all(torch.equal(levels, expected) for levels in used)


def test_prompt_guidance_and_negative_prompt_reach_the_result(model: LoadedModel, variant: Variant, run: Run) -> None:
    def result(**changes: Any) -> bytes:
        return run(variant.request(model, **{"steps": 3} | changes)).tobytes()

    first = result()
    assert result() == first
    for changes in ({"prompt": "circle circle"}, {"seed": 8}, *variant.matters):
        assert result(**changes) != first, changes
    for changes in variant.ignored:
        assert result(**changes) == first, changes


def test_time_that_goes_into_encoding_an_image_is_no_step_time(model: LoadedModel, variant: Variant) -> None:
    spent: list[float] = []
    encode = model.pipeline.vae.encode

    def encoding(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return encode(*args, **kwargs)
        finally:
            spent.append(time.perf_counter() - start)

    model.pipeline.vae.encode = encoding
    _, clock = run_pipeline(model, plan_run(model, variant.request(model, steps=2)), None, NOBODY, variant.picture)
    assert len(spent) == variant.animates
    assert clock.timings["encode_prompt"] >= sum(spent)


def test_the_signatures_that_a_family_relies_on_are_those_of_diffusers(
    model: LoadedModel, variant: Variant, asked: GenerationRequest
) -> None:
    call = inspect.signature(variant.stock.__call__).parameters
    arguments = model.family.encode(model.pipeline, asked, model.entry).keys()
    arguments |= model.family.arguments(asked, model.entry).keys()
    assert arguments <= call.keys()
    assert {"callback_on_step_end", "callback_on_step_end_tensor_inputs", "generator", "output_type"} <= call.keys()
    assert ("image" in call) == variant.animates
    forward = inspect.signature(type(model.pipeline.transformer).forward).parameters
    head = inspect.signature(model.family.layout().head).parameters
    assert head.keys() - {"transformer", "y", "_unused"} <= forward.keys()
