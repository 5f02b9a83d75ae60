"""The catalogue's switches: each is put on, acceleration works with it, and what cannot be had is refused by name."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from tests.workers.micro_wan import BLOCKS, calibrated, micro_entry, micro_request
from workers.engine.generation import ProgressCallbacks, generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.switches import apply
from workers.jobs.errors import CoefficientsMismatch, JobCancelled, ModelLoadFailed
from workers.models.families.wan import Wan


def lora(folder: Path, width: int = 24) -> Path:
    """A LoRA of rank 2 on the first block's self-attention, in the format that trainers write."""
    torch.manual_seed(1)
    name = "transformer.blocks.0.attn1.to_q"
    tensors = {f"{name}.lora_A.weight": torch.randn(2, width), f"{name}.lora_B.weight": torch.randn(width, 2)}
    save_file(tensors, folder / "style.safetensors")
    return folder / "style.safetensors"


def loaded(folder: Path, **changes: Any) -> LoadedModel:
    entry = micro_entry(folder).model_dump() | changes
    return load_model(type(micro_entry(folder))(**entry), Wan())


def assert_accelerates_alike(model: LoadedModel, plain: LoadedModel) -> None:
    """The same decisions and, up to rounding, the same frames as without the switch."""
    generation, expected = (
        generate(calibrated(model, micro_request()), micro_request()),
        generate(calibrated(plain, micro_request()), micro_request()),
    )
    assert generation.report.engaged
    assert generation.report.decisions == expected.report.decisions
    assert np.abs(generation.frames.astype(int) - expected.frames.astype(int)).max() <= 1


def test_tiling_slicing_and_attention_are_put_on_by_diffusers(micro_folder: Path, micro: LoadedModel) -> None:
    model = loaded(micro_folder, vae_tiling=True, vae_slicing=True, attention_backend="_native_math")
    assert model.pipeline.vae.use_tiling and model.pipeline.vae.use_slicing
    assert model.pipeline.transformer.blocks[0].attn1.processor._attention_backend == "_native_math"
    assert_accelerates_alike(model, micro)


def test_one_models_attention_is_not_anothers(micro_folder: Path) -> None:
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    before = _AttentionBackendRegistry.get_active_backend()
    loaded(micro_folder, attention_backend="_native_math")
    assert _AttentionBackendRegistry.get_active_backend() == before


def test_a_compiled_block_is_observed_without_another_compilation_and_left_as_it_was(
    micro_folder: Path, micro: LoadedModel
) -> None:
    model = loaded(micro_folder)
    # As `compile = true`, but without the C++ compiler's minute: the graph is captured in the same way.
    model.pipeline.transformer.compile_repeated_blocks(backend="eager")
    compiled = [block._compiled_call_impl for block in model.pipeline.transformer.blocks]
    generate(model, micro_request(sf=12))  # Uncached, as a warm-up: the graph is made when nobody observes.
    with torch.compiler.set_stance("fail_on_recompile"):
        assert_accelerates_alike(model, micro)
        assert_accelerates_alike(model, micro)
    assert [block._compiled_call_impl for block in model.pipeline.transformer.blocks] == compiled


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own, of its compiler
def test_compile_compiles_the_repeated_block_alone(micro_folder: Path) -> None:
    transformer = loaded(micro_folder, compile=True).pipeline.transformer
    assert all(block._compiled_call_impl is not None for block in transformer.blocks)
    assert transformer._compiled_call_impl is None


def test_acceleration_works_with_weights_that_are_elsewhere_between_uses(
    micro_folder: Path, micro: LoadedModel, tmp_path: Path
) -> None:
    model = loaded(micro_folder)
    transformer = model.pipeline.transformer
    # To files, since that is the one offload which takes weights away on a machine without a GPU.
    transformer.enable_group_offload(
        onload_device=torch.device("cpu"), num_blocks_per_group=1, offload_to_disk_path=str(tmp_path)
    )
    assert len(list(tmp_path.glob("*.safetensors"))) == BLOCKS + 1
    assert_accelerates_alike(model, micro)


def test_acceleration_works_with_model_offload(micro_folder: Path, micro: LoadedModel) -> None:
    model = loaded(micro_folder)
    model.pipeline.enable_model_cpu_offload(device="cpu")  # The hooks, without a device to bring anything to.
    assert_accelerates_alike(model, micro)


def test_a_cancelled_run_leaves_no_offloaded_weights_on_the_device(micro_folder: Path) -> None:
    def cancel(*_: object) -> None:
        raise JobCancelled("enough")

    model = loaded(micro_folder)
    model.pipeline.enable_model_cpu_offload(device="cpu")
    hooks = model.pipeline._all_hooks
    with pytest.raises(JobCancelled):
        generate(model, micro_request(), ProgressCallbacks(step=cancel))
    assert model.pipeline._all_hooks is not hooks  # diffusers makes new ones when it has sent all weights back


@pytest.mark.skipif(find_spec("torchao") is None, reason="torchao is an extra")
def test_acceleration_works_with_quantized_weights_which_have_a_fingerprint_of_their_own(micro_folder: Path) -> None:
    plain = loaded(micro_folder, dtype="bfloat16")
    model = loaded(micro_folder, dtype="bfloat16", quantization="int8_weight_only")
    assert type(model.pipeline.transformer.blocks[0].attn1.to_q.weight).__name__ == "Int8Tensor"
    assert model.fingerprint != plain.fingerprint
    assert generate(calibrated(model, micro_request()), micro_request()).report.engaged


def test_a_fused_lora_changes_the_weights_and_leaves_no_layer_beside(
    micro_folder: Path, micro: LoadedModel, tmp_path: Path
) -> None:
    source = str(lora(tmp_path))
    model = loaded(micro_folder, loras=[{"source": source}])
    assert model.fingerprint != micro.fingerprint
    assert not [name for name, _ in model.pipeline.transformer.named_modules() if "lora" in name]
    assert generate(calibrated(model, micro_request()), micro_request()).report.engaged
    half = loaded(micro_folder, loras=[{"source": source, "scale": 0.5}])
    assert half.fingerprint not in (model.fingerprint, micro.fingerprint)
    name = "blocks.0.attn1.to_q.weight"
    whole, part, none = (m.pipeline.transformer.state_dict()[name] for m in (model, half, micro))
    assert torch.allclose(part - none, (whole - none) / 2, atol=1e-6)


def test_coefficients_of_the_plain_model_are_refused_for_the_one_with_a_lora(
    micro_folder: Path, micro: LoadedModel, tmp_path: Path
) -> None:
    [coefficients] = calibrated(micro, micro_request()).coefficients
    coefficients.save(tmp_path / "plain.json")
    loaded(micro_folder, coefficients=(str(tmp_path / "plain.json"),))
    with pytest.raises(CoefficientsMismatch, match=r"measured on weights .* calibrate --model micro-wan"):
        loaded(micro_folder, coefficients=(str(tmp_path / "plain.json"),), loras=[{"source": str(lora(tmp_path))}])


def test_a_lora_of_another_model_is_refused(micro_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match="size mismatch"):
        loaded(micro_folder, loras=[{"source": str(lora(tmp_path, width=32))}])
    save_file({"transformer.other.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelLoadFailed, match=r"micro-wan .*other\.safetensors"):
        loaded(micro_folder, loras=[{"source": str(tmp_path / "other.safetensors")}])


def test_a_lora_that_fits_in_part_is_refused_with_the_first_keys_that_fit_nothing(
    micro_folder: Path, tmp_path: Path
) -> None:
    tensors = load_file(lora(tmp_path))
    for block in range(4):  # The model has fewer blocks, as one of another size has.
        for half in ("A", "B"):
            name = f"transformer.blocks.{block + BLOCKS}.attn1.to_q.lora_{half}.weight"
            tensors[name] = tensors[f"transformer.blocks.0.attn1.to_q.lora_{half}.weight"].clone()
    save_file(tensors, tmp_path / "style.safetensors")
    first = (
        rf"8 of its tensors fit no layer of this model: transformer\.blocks\.{BLOCKS}\.attn1\.to_q\.lora_A\.weight, "
    )
    with pytest.raises(ModelLoadFailed, match=first):
        loaded(micro_folder, loras=[{"source": str(tmp_path / "style.safetensors")}])


def test_a_lora_with_values_that_are_not_finite_is_refused(micro_folder: Path, tmp_path: Path) -> None:
    tensors = load_file(lora(tmp_path))
    tensors["transformer.blocks.0.attn1.to_q.lora_B.weight"][0, 0] = torch.nan
    save_file(tensors, tmp_path / "style.safetensors")
    with pytest.raises(ModelLoadFailed, match=r"style\.safetensors: .*lora_B\.weight has values that are not finite"):
        loaded(micro_folder, loras=[{"source": str(tmp_path / "style.safetensors")}])


def test_no_file_but_safetensors_is_ever_read(
    micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_args, **_options: pytest.fail("it would run what the file says"))
    torch.save({}, tmp_path / "style.bin")
    for source in (tmp_path / "style.bin", tmp_path):
        with pytest.raises(ModelLoadFailed, match=r"must be a \.safetensors file|0 \.safetensors files"):
            loaded(micro_folder, loras=[{"source": str(source)}])
    with pytest.raises(ValidationError, match="weight_name"):
        loaded(micro_folder, loras=[{"source": str(tmp_path), "weight_name": "style.bin"}])


def test_a_folder_with_several_loras_is_refused_with_their_names(micro_folder: Path, tmp_path: Path) -> None:
    lora(tmp_path).rename(tmp_path / "b.safetensors")
    lora(tmp_path).rename(tmp_path / "a.safetensors")
    with pytest.raises(ModelLoadFailed, match=r"set weight_name to one of: a\.safetensors, b\.safetensors"):
        loaded(micro_folder, loras=[{"source": str(tmp_path)}])
    loaded(micro_folder, loras=[{"source": str(tmp_path), "weight_name": "b.safetensors"}])
    with pytest.raises(ModelLoadFailed, match="there is no such file in the folder"):
        loaded(micro_folder, loras=[{"source": str(tmp_path), "weight_name": "c.safetensors"}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_backend": "quick"}, "attention_backend quick: .*must be one of"),
        ({"attention_backend": "flash"}, "attention_backend flash: .*flash-attn"),
        ({"loras": [{"source": "/nowhere.safetensors"}]}, "lora /nowhere.safetensors: there is no such file or folder"),
        ({"loras": [{"source": "x.safetensors", "transformer": "transformer_2"}]}, "this model has no transformer_2"),
    ],
)
def test_a_switch_that_cannot_be_had_is_refused_by_name(
    micro_folder: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=f"model micro-wan from .*{message}"):
        loaded(micro_folder, **changes)


def test_a_switch_that_the_model_does_not_have_is_refused_by_name(micro: LoadedModel) -> None:
    micro.pipeline.vae = torch.nn.Identity()
    entry = micro.entry.model_copy(update={"vae_tiling": True})
    with pytest.raises(ModelLoadFailed, match="vae_tiling: Identity has no enable_tiling"):
        apply(micro.pipeline, [micro.pipeline.transformer], entry)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test wants to be missing")
@pytest.mark.parametrize("changes", [{}, {"offload": "model"}, {"offload": "group"}])
def test_a_device_that_is_not_there_is_refused_before_the_checkpoint_is_read(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelLoadFailed, match="no CUDA device"):
        loaded(Path("nowhere"), device="cuda", **changes)


def test_the_switches_are_shown_in_a_few_words(micro_folder: Path) -> None:
    entry = micro_entry(micro_folder, device="cuda", offload="group", vae_tiling=True, compile=True)
    assert micro_entry(micro_folder).shown() == "float32 on cpu"
    assert entry.shown() == "float32 on cuda, group offload, VAE tiling, compiled"
