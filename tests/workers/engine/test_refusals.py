"""What the engine will not run, and what it says then."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchHeunDiscreteScheduler, FluxImg2ImgPipeline
from PIL import Image

from tests.workers import micro_flux, micro_hunyuan_video
from tests.workers.caching.methods import Record
from workers.caching.transformer import attached
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.errors import InvalidRequest, ModelLoadFailed, UnsupportedPipeline
from workers.jobs.job import GenerationRequest
from workers.models.catalogue import Catalogue, families
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.session import Session

MICRO = {"flux": micro_flux.micro_entry, "hunyuan_video": micro_hunyuan_video.micro_entry}


def asked(family: str, **changes: Any) -> GenerationRequest:
    entry = MICRO[family](Path("nowhere"))
    return Catalogue({entry.name: entry}, families()).request(entry.name, "red", **({"seed": 7} | changes))


@pytest.fixture(scope="module")
def flux_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micro-flux")
    micro_flux.save_micro_flux(folder)
    return folder


@pytest.fixture
def flux(flux_folder: Path) -> LoadedModel:
    return load_model(micro_flux.micro_entry(flux_folder), families()["flux"])


def test_a_flux_pipeline_without_a_cache_context_is_refused_at_its_first_call(flux: LoadedModel) -> None:
    other = FluxImg2ImgPipeline(**flux.pipeline.components)
    other.set_progress_bar_config(disable=True)
    recorded = Record()
    with (
        attached(other.transformer, flux.family.layout(), recorded),
        pytest.raises(UnsupportedPipeline, match=r"does not enter cache_context .*\(sf = steps\)"),
    ):
        other(prompt="red", image=Image.new("RGB", (32, 32)), num_inference_steps=4, max_sequence_length=8)
    assert recorded.outputs == {}


@pytest.mark.parametrize("name", ["controlnet_block_samples", "controlnet_single_block_samples"])
def test_controlnet_is_refused_at_a_step_that_would_be_predicted(flux: LoadedModel, name: str) -> None:
    transformer = flux.pipeline.transformer
    method = Session(IntervalSettings(2), torch.full((6, micro_flux.BLOCKS), 0.9), watched_tokens=2)
    arguments = {
        "hidden_states": torch.randn(1, 4, 16), "encoder_hidden_states": torch.randn(1, 3, 16),
        "pooled_projections": torch.randn(1, 16), "timestep": torch.tensor([0.5]), "guidance": torch.tensor([3.5]),
        "img_ids": torch.zeros(4, 3), "txt_ids": torch.zeros(3, 3), name: [torch.randn(1, 4, 24)],
    }  # fmt: skip
    with torch.no_grad(), attached(transformer, flux.family.layout(), method), transformer.cache_context("cond"):
        for _ in range(2):
            transformer(**arguments)
            method.end_step()
        assert not method.full
        with pytest.raises(UnsupportedPipeline, match="ControlNet"):
            transformer(**arguments)


def test_a_scheduler_that_calls_the_model_twice_a_step_is_refused_also_without_the_cache(flux: LoadedModel) -> None:
    flux.pipeline.scheduler = FlowMatchHeunDiscreteScheduler()
    for sf in (4, 12):
        with pytest.raises(UnsupportedPipeline, match="FlowMatchHeunDiscreteScheduler calls the transformer 2 times"):
            generate(flux, asked("flux", sf=sf))


@pytest.mark.parametrize(
    ("family", "saved_by"), [("flux", "FluxControlNetPipeline"), ("hunyuan_video", "HunyuanVideoImageToVideoPipeline")]
)
def test_a_checkpoint_of_another_pipeline_is_refused_when_it_is_loaded(
    tmp_path: Path, family: str, saved_by: str
) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": saved_by}))
    with pytest.raises(
        ModelLoadFailed, match=rf"saved by a {saved_by}, family {family} runs a \w+Pipeline.*; no family runs it"
    ):
        load_model(MICRO[family](tmp_path), families()[family])


@pytest.mark.parametrize(
    ("family", "changes", "param", "words"),
    [
        ("flux", {"flow_shift": 3.0}, "flow_shift", "flow_shift 3: micro-flux has none"),
        ("flux", {"frames": 5}, "frames", "frames 5 must be 1: micro-flux makes images"),
        ("flux", {"negative_prompt": "blurry"}, "negative_prompt", "needs a true_cfg_scale above 1"),
        ("flux", {"width": 40}, "size", "width 40 must be a multiple of 16"),
        ("flux", {"true_cfg_scale": 0.5}, "true_cfg_scale", "true_cfg_scale 0.5"),
        ("hunyuan_video", {"negative_prompt": "blurry"}, "negative_prompt", "needs a true_cfg_scale above 1"),
        ("hunyuan_video", {"frames": 6}, "frames", "frames 6 must be 4k+1"),
    ],
)
def test_a_request_that_would_not_be_done_as_asked_is_refused(
    family: str, changes: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(words)) as refused:
        asked(family, **changes)
    assert refused.value.param == param


def test_a_flow_shift_that_the_checkpoints_scheduler_does_not_have_is_refused(tmp_path: Path) -> None:
    micro_hunyuan_video.save_micro_hunyuan_video(tmp_path)
    model = load_model(micro_hunyuan_video.micro_entry(tmp_path), families()["hunyuan_video"])
    shifting = type(model.pipeline.scheduler).from_config(model.pipeline.scheduler.config, use_dynamic_shifting=True)
    model.pipeline.scheduler = shifting
    with pytest.raises(UnsupportedPipeline, match="FlowMatchEulerDiscreteScheduler has no flow_shift"):
        generate(model, asked("hunyuan_video"))


def test_coefficients_of_another_noise_schedule_are_not_used(flux: LoadedModel) -> None:
    # Of 1024 x 1024 the schedule is nearly that of 1360 x 768, and not that of 768 x 768.
    sizes = ((1024, 1024), (1360, 768), (768, 768))
    keys = {
        (width, height): plan_run(flux, asked("flux").model_copy(update={"width": width, "height": height})).key
        for width, height in sizes
    }
    assert keys[1360, 768].difference(keys[1024, 1024]) is None
    difference = keys[1024, 1024].difference(keys[768, 768])
    assert difference is not None and difference.startswith("scheduler") and "halfway_sigma" in difference


def test_a_flow_shift_is_part_of_the_key_as_the_scheduler_has_it(tmp_path: Path) -> None:
    micro_hunyuan_video.save_micro_hunyuan_video(tmp_path)
    model = load_model(micro_hunyuan_video.micro_entry(tmp_path), families()["hunyuan_video"])
    own = plan_run(model, asked("hunyuan_video").model_copy(update={"flow_shift": None})).key
    assert own == plan_run(model, asked("hunyuan_video", flow_shift=7.0)).key
    assert "scheduler" in (own.difference(plan_run(model, asked("hunyuan_video", flow_shift=3.0)).key) or "")
