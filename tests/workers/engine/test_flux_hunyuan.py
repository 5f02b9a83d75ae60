"""FLUX and HunyuanVideo through the same engine: what it relies on in diffusers, and exact where it computes."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, FluxPipeline, HunyuanVideoPipeline
from torch import Tensor

from tests.workers import micro_flux, micro_hunyuan_video
from tests.workers.caching.test_transformer import Replay
from workers.caching.transformer import attached
from workers.engine.generation import Watcher, generate, run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.errors import JobCancelled
from workers.jobs.job import GenerationRequest, Reason, ReasonCode
from workers.models.catalogue import families
from workers.models.entry import ModelEntry
from workers.scalingcache.controller import IntervalSettings
from workers.scalingcache.relay import Relay

STEPS = 12
BLOCKS = 5


@dataclass(frozen=True)
class Variant:
    """A checkpoint, the stock pipeline that runs it, and how a request is guided."""

    save: Callable[[Path], None]
    entry: Callable[[Path], ModelEntry]
    stock: type[DiffusionPipeline]
    guidance: dict[str, Any]
    streams: tuple[str, ...]
    tokens: int  # of the picture or video: in patches of 16 x 16 pixels, and in 2 latent frames


FLUX = (micro_flux.save_micro_flux, micro_flux.micro_entry, FluxPipeline)
SCHNELL = (micro_flux.save_micro_schnell, micro_flux.micro_entry, FluxPipeline)
HUNYUAN = (micro_hunyuan_video.save_micro_hunyuan_video, micro_hunyuan_video.micro_entry, HunyuanVideoPipeline)
TRUE_CFG = {"true_cfg_scale": 2.0, "negative_prompt": "circle"}
VARIANTS = {
    "flux": Variant(*FLUX, {}, ("cond",), 2 * 2),
    "flux with true guidance": Variant(*FLUX, TRUE_CFG, ("cond", "uncond"), 2 * 2),
    "flux without a guidance input": Variant(*SCHNELL, {}, ("cond",), 2 * 2),
    "hunyuan video": Variant(*HUNYUAN, {}, ("cond",), 2 * 2 * 2),
    "hunyuan video with true guidance": Variant(*HUNYUAN, TRUE_CFG, ("cond", "uncond"), 2 * 2 * 2),
}


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(scope="module")
def folder(variant: Variant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(variant.save.__name__)
    variant.save(folder)
    return folder


@pytest.fixture
def model(variant: Variant, folder: Path) -> LoadedModel:
    entry = variant.entry(folder)
    return load_model(entry, families()[entry.family])


def asked(model: LoadedModel, variant: Variant, **changes: Any) -> GenerationRequest:
    defaults = model.entry.defaults.model_dump(exclude={"max_sequence_length"}) | {"model": model.entry.name}
    request = GenerationRequest(**(defaults | {"prompt": "red circle", "seed": 7} | variant.guidance | changes))
    model.family.check(request, model.entry.limits)
    return request


def relay(model: LoadedModel, request: GenerationRequest, sf: int = 4) -> Relay:
    alpha = torch.full((request.steps, BLOCKS), 0.9, dtype=torch.float64)
    return Relay(IntervalSettings(sf, kappa=3.0), alpha, plan_run(model, request).segments)


class Record:
    """Computes everything; keeps the last block's output of each step and stream, and the shape of every block's."""

    full = True

    def __init__(self) -> None:
        self.known: dict[tuple[int, str], Tensor] = {}
        self.seen: list[tuple[str, int, torch.Size]] = []
        self.step = 0

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        self.seen.append((stream, block, hidden.shape))
        if block == BLOCKS - 1:
            self.known[self.step, stream] = hidden

    def predict(self, stream: str) -> Tensor:
        raise AssertionError(stream)

    def end_step(self) -> None:
        self.step += 1


def test_a_run_without_the_cache_is_bit_identical_to_the_stock_pipeline(
    model: LoadedModel, variant: Variant, folder: Path
) -> None:
    request = asked(model, variant, sf=STEPS)
    stock = variant.stock.from_pretrained(folder)
    stock.set_progress_bar_config(disable=True)
    video = {"num_frames": request.frames} if model.family.media == "video" else {}
    output = stock(
        prompt="red circle", width=32, height=32, num_inference_steps=STEPS, guidance_scale=request.guidance,
        max_sequence_length=model.entry.defaults.max_sequence_length, generator=torch.Generator().manual_seed(7),
        output_type="np", **variant.guidance, **video,
    )  # fmt: skip
    expected = output.frames[0] if video else output.images
    generation = generate(model, request)
    assert generation.frames.shape == (request.frames, 32, 32, 3)
    assert np.array_equal(generation.frames, (expected * 255).round().astype(np.uint8))
    assert generation.report.reason == Reason(code=ReasonCode.NOT_REQUESTED)


def test_a_cache_that_never_predicts_is_bit_identical_to_none(model: LoadedModel, variant: Variant) -> None:
    request = asked(model, variant)
    method = relay(model, request, sf=STEPS)
    frames, _ = run_pipeline(model, plan_run(model, request), method, Watcher())
    plain, _ = run_pipeline(model, plan_run(model, request), None, Watcher())
    assert np.array_equal(frames, plain)
    assert method.decisions == "F" * STEPS


def test_each_block_shows_the_picture_and_not_the_text_in_the_order_in_which_it_runs(
    model: LoadedModel, variant: Variant
) -> None:
    recorded = Record()
    request = asked(model, variant)
    run_pipeline(model, plan_run(model, request), recorded, Watcher())
    step = [(stream, block) for stream in variant.streams for block in range(BLOCKS)]
    assert [(stream, block) for stream, block, _ in recorded.seen] == step * STEPS
    assert {shape for _, _, shape in recorded.seen} == {(1, variant.tokens, 24)}
    assert len(model.family.layout().blocks(model.pipeline.transformer)) == BLOCKS
    assert model.family.guided(request) == ("uncond" in variant.streams)


def test_the_head_alone_repeats_the_stock_forward_bit_for_bit(model: LoadedModel, variant: Variant) -> None:
    recorded = Record()
    expected, _ = run_pipeline(model, plan_run(model, asked(model, variant)), recorded, Watcher())
    replay = Replay(recorded.known)
    frames, _ = run_pipeline(model, plan_run(model, asked(model, variant)), replay, Watcher())
    assert np.array_equal(frames, expected)
    assert replay.blocks_run == STEPS / 2 * BLOCKS * len(variant.streams)


def test_at_a_predicted_step_nothing_runs_but_what_the_head_needs(model: LoadedModel, variant: Variant) -> None:
    request, transformer = asked(model, variant), model.pipeline.transformer
    method = relay(model, request)
    ran: dict[bool, set[str]] = {True: set(), False: set()}

    def note(name: str) -> Callable[..., None]:
        return lambda *_: ran[method.full].add(name.partition(".")[0])

    handles = [each.register_forward_hook(note(name)) for name, each in transformer.named_modules() if name]
    run_pipeline(model, plan_run(model, request), method, Watcher())
    for handle in handles:
        handle.remove()
    assert "P" in method.decisions
    assert ran[False] == {"time_text_embed", "norm_out", "proj_out"}
    assert ran[True] > ran[False] | {"x_embedder", "context_embedder", "transformer_blocks"}


def test_the_head_answers_in_both_forms_of_the_forward(model: LoadedModel, variant: Variant) -> None:
    transformer, calls = model.pipeline.transformer, []

    def note(_module: object, _args: object, arguments: dict[str, Any]) -> None:
        calls.append(arguments)

    handle = transformer.register_forward_pre_hook(note, with_kwargs=True)
    run_pipeline(model, plan_run(model, asked(model, variant)), None, Watcher())
    handle.remove()
    arguments = calls[-1] | {"return_dict": True}
    recorded = Record()
    with torch.no_grad(), attached(transformer, model.family.layout(), recorded), transformer.cache_context("cond"):
        expected = transformer(**arguments).sample
    replay = Replay({(1, "cond"): recorded.known[0, "cond"]})
    replay.step = 1
    with torch.no_grad(), attached(transformer, model.family.layout(), replay), transformer.cache_context("cond"):
        assert torch.equal(transformer(**arguments).sample, expected)
        assert torch.equal(transformer(**arguments | {"return_dict": False})[0], expected)


def test_a_warm_model_gives_the_bytes_of_a_cold_one_also_after_an_exception(
    model: LoadedModel, variant: Variant
) -> None:
    request = asked(model, variant)
    cold = load_model(model.entry, model.family)
    expected, _ = run_pipeline(cold, plan_run(cold, request), relay(cold, request), Watcher())

    def stop(index: int, *_: Any) -> None:
        if index == 8:
            raise JobCancelled("stop")

    guided = {"true_cfg_scale": 1.0, "negative_prompt": ""} if variant.guidance else TRUE_CFG
    shifted = {"flow_shift": 3.0} if model.family.flow_shift else {}
    other = asked(model, variant, width=48, guidance=1.0, seed=3, **(guided | shifted))
    run_pipeline(model, plan_run(model, other), relay(model, other, sf=3), Watcher())
    with pytest.raises(JobCancelled):
        run_pipeline(model, plan_run(model, other), relay(model, other), Watcher(step=stop))
    method = relay(model, request)
    frames, _ = run_pipeline(model, plan_run(model, request), method, Watcher())
    assert np.array_equal(frames, expected)
    assert "P" in method.decisions


def test_a_request_without_a_flow_shift_gets_the_checkpoints_own_whatever_ran_before(
    model: LoadedModel, variant: Variant
) -> None:
    stock = dict(model.pipeline.scheduler.config)
    if model.family.flow_shift:
        run_pipeline(model, plan_run(model, asked(model, variant, flow_shift=3.0)), None, Watcher())
    scheduler = plan_run(model, asked(model, variant, flow_shift=None)).scheduler
    assert dict(scheduler.config) == stock


def test_the_noise_levels_are_those_of_the_pipelines_own_call(model: LoadedModel, variant: Variant) -> None:
    request, used = asked(model, variant, width=48), []
    watcher = Watcher(step=lambda *_: used.append(model.pipeline.scheduler.sigmas[:STEPS]))
    run_pipeline(model, plan_run(model, request), None, watcher)
    assert torch.equal(used[0], plan_run(model, request).sigmas)


def test_prompt_guidance_and_negative_prompt_reach_the_result(model: LoadedModel, variant: Variant) -> None:
    def result(**changes: Any) -> bytes:
        frames, _ = run_pipeline(model, plan_run(model, asked(model, variant, steps=3, **changes)), None, Watcher())
        return frames.tobytes()

    first = result()
    assert result() == first
    assert result(prompt="circle circle") != first
    embedded = model.pipeline.transformer.config.guidance_embeds
    assert (result(guidance=50.0) != first) == embedded
    if variant.guidance:
        assert result(negative_prompt="red red red") != first
        assert result(true_cfg_scale=9.0) != first


def test_the_signatures_that_a_family_relies_on_are_those_of_diffusers(model: LoadedModel, variant: Variant) -> None:
    request = asked(model, variant)
    call = inspect.signature(variant.stock.__call__).parameters
    given = model.family.encode(model.pipeline, request, model.entry).keys()
    given |= model.family.arguments(request, model.entry).keys()
    assert given <= call.keys()
    assert {"callback_on_step_end", "callback_on_step_end_tensor_inputs", "generator", "output_type"} <= call.keys()
    forward = inspect.signature(type(model.pipeline.transformer).forward).parameters
    head = inspect.signature(model.family.layout().head).parameters
    assert head.keys() - {"transformer", "y", "_unused"} <= forward.keys()
