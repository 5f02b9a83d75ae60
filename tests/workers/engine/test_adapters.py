"""LoRAs as the tools save them: each file does what it does in its own tool, or is refused by one of its keys."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from tests.workers import micro_flux
from tests.workers.micro_wan import a_transformer, micro_entry
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.errors import ModelLoadFailed
from workers.models.catalogue import families
from workers.models.entry import Lora

LAYER = "blocks.0.attn1.to_q"
TOUCHED = ("to_q", "to_k", "net.0.proj")


def fused(folder: Path, source: Path, **fields: Any) -> LoadedModel:
    entry = micro_entry(folder, loras=(Lora(source=str(source), **fields),))
    return load_model(entry, families()["wan"])


def change(model: LoadedModel, plain: LoadedModel, layer: str = LAYER) -> torch.Tensor:
    mine, theirs = (each.pipeline.transformer.get_submodule(layer).weight for each in (model, plain))
    return (mine - theirs).detach()


def config(**changes: Any) -> LoraConfig:
    return LoraConfig(
        **{"r": 2, "lora_alpha": 6, "target_modules": list(TOUCHED), "init_lora_weights": False} | changes
    )


@pytest.mark.parametrize("changes", [{}, {"use_rslora": True}, {"alpha_pattern": {"to_k": 2}}], ids=str)
def test_one_saved_by_peft_changes_the_weights_as_in_peft(
    micro_folder: Path, micro: LoadedModel, tmp_path: Path, changes: dict[str, Any]
) -> None:
    wrapped = get_peft_model(a_transformer(), config(**changes))
    wrapped.save_pretrained(tmp_path)
    model = fused(micro_folder, tmp_path)
    for layer in (LAYER, LAYER.replace("to_q", "to_k")):
        expected = wrapped.base_model.model.get_submodule(layer).get_delta_weight("default")
        assert expected.abs().max() > 1e-3
        assert torch.allclose(change(model, micro, layer), expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [6, 2])
def test_one_saved_by_save_lora_adapter_changes_the_weights_as_in_diffusers(
    micro_folder: Path, micro: LoadedModel, tmp_path: Path, alpha: int
) -> None:
    transformer = a_transformer()
    transformer.add_adapter(config(lora_alpha=alpha), "style")
    transformer.save_lora_adapter(tmp_path, "style")
    expected = transformer.get_submodule(LAYER).get_delta_weight("style")
    assert torch.allclose(change(fused(micro_folder, tmp_path), micro), expected, atol=1e-6)


def halves(width: int = 24, rank: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(rank, width, generator=generator), torch.randn(width, rank, generator=generator)


@pytest.mark.parametrize(
    ("layer", "ends", "scale"),
    [
        ("diffusion_model.blocks.0.self_attn.q", ("lora_A.weight", "lora_B.weight"), 1),
        ("diffusion_model.blocks.0.self_attn.q", ("lora_down.weight", "lora_up.weight", "alpha"), 3),
        ("lora_unet_blocks_0_self_attn_q", ("lora_down.weight", "lora_up.weight", "alpha"), 3),
    ],
)
def test_the_original_and_kohyas_names_are_read_with_their_alpha(
    micro_folder: Path, micro: LoadedModel, tmp_path: Path, layer: str, ends: tuple[str, ...], scale: float
) -> None:
    names = [f"{layer}.{end}" for end in ends]
    down, up = halves()
    tensors = dict(zip(names, (down, up, torch.tensor(6.0)), strict=False))
    if layer.startswith("lora_unet_"):  # Of these diffusers wants every layer of a block.
        others = [f"{kind}_attn_{each}" for kind in ("self", "cross") for each in "qkvo"]
        widths = dict.fromkeys(others[1:], (24, 24)) | {"ffn_0": (24, 32), "ffn_2": (32, 24)}
        for other, (before, after) in widths.items():
            name = f"lora_unet_blocks_0_{other}"
            values = (torch.zeros(2, before), torch.zeros(after, 2), torch.tensor(6.0))
            tensors |= {f"{name}.{end}": value for end, value in zip(ends, values, strict=True)}
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, tmp_path / "style.safetensors")
    assert torch.allclose(change(fused(micro_folder, tmp_path), micro), scale * up @ down, atol=1e-5)


def test_one_of_peft_is_read_for_flux_too(tmp_path: Path) -> None:
    micro_flux.save_micro_flux(tmp_path / "flux")
    entry = micro_flux.micro_entry(tmp_path / "flux")
    plain = load_model(entry, families()["flux"])
    wrapped = get_peft_model(plain.pipeline.transformer, config(target_modules=["to_q"]))
    wrapped.save_pretrained(tmp_path / "lora")
    layer = "transformer_blocks.0.attn.to_q"
    expected = wrapped.base_model.model.get_submodule(layer).get_delta_weight("default")
    model = load_model(entry.model_copy(update={"loras": (Lora(source=str(tmp_path / "lora")),)}), families()["flux"])
    base = wrapped.base_model.model.get_submodule(layer).base_layer.weight
    found = model.pipeline.transformer.get_submodule(layer).weight - base
    assert torch.allclose(found, expected, atol=1e-6)


def test_one_of_peft_without_its_configuration_is_refused(micro_folder: Path, tmp_path: Path) -> None:
    get_peft_model(a_transformer(), config()).save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(ModelLoadFailed, match=r"adapter_config.json, which has the lora_alpha of .*, must be beside"):
        fused(micro_folder, tmp_path)
    get_peft_model(a_transformer(), config()).save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"use_dora": True}))
    with pytest.raises(ModelLoadFailed, match="it is a DoRA"):
        fused(micro_folder, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.q.lora_A.weight",
        "blocks.0.self_attn.q.lora_down.weight",
        "lora_te1_text.lora_down.weight",
        "x.y",
    ],
)
def test_names_in_no_known_form_are_refused_with_one_of_them_and_the_forms(
    micro_folder: Path, tmp_path: Path, name: str
) -> None:
    save_file({name: torch.zeros(2, 24)}, tmp_path / "style.safetensors")
    with pytest.raises(ModelLoadFailed, match=rf"{name}.*; read are transformer\.<layer>\.lora_A") as refused:
        fused(micro_folder, tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("form", ["transformer.{}", "{}"])
def test_one_of_another_width_is_refused_in_one_line(micro_folder: Path, tmp_path: Path, form: str) -> None:
    down, up = halves(width=32)
    tensors = {}
    for block in range(3):
        name = form.format(f"blocks.{block}.attn1.to_q")
        tensors |= {f"{name}.lora_A.weight": down.clone(), f"{name}.lora_B.weight": up.clone()}
    save_file(tensors, tmp_path / "style.safetensors")
    words = rf"size mismatch, .* 6 tensors, transformer\.{LAYER}\.lora_A\.weight 32 for 24, .*, \.\.\.$"
    with pytest.raises(ModelLoadFailed, match=words) as refused:
        fused(micro_folder, tmp_path)
    assert "\n" not in str(refused.value)
