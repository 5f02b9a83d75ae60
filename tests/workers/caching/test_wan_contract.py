"""What the engine relies on in diffusers' Wan: an upgrade that changes it fails here and nowhere else."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKLWan,
    DiffusionPipeline,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from diffusers.models.transformers.transformer_wan import WanTransformerBlock

from tests.workers import micro_wan_variants as variants
from tests.workers.micro_wan import a_transformer, save_micro_wan

PIPELINES = [WanPipeline, WanImageToVideoPipeline]


def names(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_transformer_takes_these_arguments_in_this_order() -> None:
    assert names(WanTransformer3DModel.forward) == [
        "hidden_states", "timestep", "encoder_hidden_states", "encoder_hidden_states_image", "return_dict",
        "attention_kwargs",
    ]  # fmt: skip


def test_a_block_returns_the_hidden_states_alone() -> None:
    assert names(WanTransformerBlock.forward) == ["hidden_states", "encoder_hidden_states", "temb", "rotary_emb"]
    seen: list[Any] = []
    transformer = a_transformer()
    for block in transformer.blocks:
        assert type(block) is WanTransformerBlock
        block.register_forward_hook(lambda _block, _args, output: seen.append(output))
    with torch.no_grad():
        transformer(torch.randn(1, 4, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 3, 16))
    assert [output.shape for output in seen] == [(1, 2 * 2 * 2, 24)] * len(transformer.blocks)


def test_the_time_embedder_is_reached_as_the_head_reaches_it() -> None:
    transformer = a_transformer()
    embedder = transformer.condition_embedder
    projected = embedder.timesteps_proj(torch.tensor([500.0]))
    temb, _, _, _ = embedder(torch.tensor([500.0]), torch.randn(1, 3, 16))
    assert torch.equal(embedder.time_embedder(projected), temb)
    assert transformer.scale_shift_table.shape == (1, 2, 24)
    assert tuple(transformer.config.patch_size) == (1, 2, 2)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_pipelines_take_what_the_engine_gives_them(pipeline: type[DiffusionPipeline]) -> None:
    arguments = {
        "width", "height", "num_frames", "guidance_scale", "guidance_scale_2", "prompt_embeds",
        "negative_prompt_embeds", "num_inference_steps", "generator", "callback_on_step_end",
        "callback_on_step_end_tensor_inputs", "output_type",
    }  # fmt: skip
    assert arguments <= set(names(pipeline.__call__))
    assert ("image" in names(pipeline.__call__)) == (pipeline is WanImageToVideoPipeline)
    encoding = {"prompt", "negative_prompt", "do_classifier_free_guidance", "max_sequence_length", "device"}
    assert encoding <= set(names(pipeline.encode_prompt))


def test_the_animating_pipeline_is_made_of_the_parts_of_the_other() -> None:
    made_of = set(names(WanPipeline.__init__))
    assert made_of <= set(names(WanImageToVideoPipeline.__init__))
    extra = set(names(WanImageToVideoPipeline.__init__)) - made_of
    defaults = inspect.signature(WanImageToVideoPipeline.__init__).parameters
    assert all(defaults[name].default is None for name in extra)


@pytest.mark.parametrize(
    ("pipeline", "save"), [(WanPipeline, save_micro_wan), (WanImageToVideoPipeline, variants.save_micro_i2v)]
)
def test_encode_prompt_returns_the_prompt_then_its_negative(
    tmp_path: Path, pipeline: type[DiffusionPipeline], save: Callable[[Path], None]
) -> None:
    save(tmp_path)
    loaded = pipeline.from_pretrained(tmp_path)
    prompt, negative = loaded.encode_prompt("red", "circle", max_sequence_length=8)
    assert torch.equal(prompt, loaded.encode_prompt("red", None, False, max_sequence_length=8)[0])
    assert torch.equal(negative, loaded.encode_prompt("circle", None, False, max_sequence_length=8)[0])
    assert loaded.encode_prompt("red", "circle", False, max_sequence_length=8)[1] is None


@pytest.mark.parametrize(
    ("pipeline", "save"),
    [
        (WanPipeline, save_micro_wan),
        (WanPipeline, variants.save_micro_experts),
        (WanPipeline, variants.save_micro_ti2v),
        (WanImageToVideoPipeline, variants.save_micro_i2v),
        (WanImageToVideoPipeline, variants.save_micro_i2v_experts),
        (WanImageToVideoPipeline, variants.save_micro_ti2v),
    ],
    ids=["t2v", "t2v experts", "ti2v text", "i2v", "i2v experts", "ti2v image"],
)
def test_each_step_is_a_call_with_and_one_without_the_prompt_then_the_callback(
    tmp_path: Path, pipeline: type[DiffusionPipeline], save: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path)
    loaded = pipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    heard: list[Any] = []
    context = WanTransformer3DModel.cache_context

    def entered(transformer: WanTransformer3DModel, name: str, **place: Any) -> Any:
        heard.append(name)
        return context(transformer, name, **place)

    def called(_transformer: Any, _args: Any, named: dict[str, Any]) -> None:
        heard.append(
            (tuple(named["hidden_states"].shape), tuple(named["timestep"].shape), named["timestep"].min() == 0)
        )

    monkeypatch.setattr(WanTransformer3DModel, "cache_context", entered)
    for transformer in filter(None, (loaded.transformer, loaded.transformer_2)):
        transformer.register_forward_pre_hook(called, with_kwargs=True)

    def stepped(_pipeline: Any, index: int, *_: Any) -> dict[str, Any]:
        heard.append(index)
        return {}

    image = {"image": variants.a_picture()} if pipeline is WanImageToVideoPipeline else {}
    loaded(
        **image, prompt="red", width=64, height=64, num_frames=5, num_inference_steps=3, guidance_scale=3.0,
        max_sequence_length=8, output_type="latent", callback_on_step_end=stepped,
    )  # fmt: skip
    per_token = save is variants.save_micro_ti2v
    side = 4 if per_token else 8
    channels = 12 if image and not per_token else 4
    tokens = 2 * (side // 2) ** 2
    call = ((1, channels, 2, side, side), (1, tokens) if per_token else (1,), bool(image) and per_token)
    assert heard == [each for step in range(3) for each in ("cond", call, "uncond", call, step)]


def test_the_sizes_of_a_checkpoint_are_read_where_the_family_reads_them() -> None:
    assert "scale_factor_spatial" in names(AutoencoderKLWan.__init__)
    assert UniPCMultistepScheduler.order == 1
