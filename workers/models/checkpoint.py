"""How a checkpoint is read: safetensors only, no code from it, in the types that the catalogue says."""

from importlib.util import find_spec
from typing import Any

import torch

from workers.jobs.errors import ModelLoadFailed
from workers.models.entry import ModelEntry

# The configurations of torchao by their names in the catalogue.
_TORCHAO = {
    "int8_weight_only": "Int8WeightOnlyConfig",
    "int8_dynamic": "Int8DynamicActivationInt8WeightConfig",
    "float8_weight_only": "Float8WeightOnlyConfig",
    "float8_dynamic": "Float8DynamicActivationFloat8WeightConfig",
}


def options(entry: ModelEntry) -> dict[str, Any]:
    """The arguments of a pipeline's `from_pretrained`. Raises `ModelLoadFailed` without the torchao it asks for."""
    read: dict[str, Any] = {
        "revision": entry.revision,
        "dtype": {"default": getattr(torch, entry.dtype)},
        "variant": entry.variant,
        "use_safetensors": True,
        "trust_remote_code": False,
    }
    if entry.vae_dtype is not None:
        read["dtype"]["vae"] = getattr(torch, entry.vae_dtype)
    if entry.quantization is not None:
        read["quantization_config"] = _quantization(entry.quantization)
    return read


def _quantization(name: str) -> Any:
    if find_spec("torchao") is None:
        raise ModelLoadFailed(f"quantization {name!r} needs torchao: pip install 'scalingcache-serve[quantization]'")
    from diffusers import PipelineQuantizationConfig, TorchAoConfig
    from torchao import quantization

    # One for each, for diffusers keeps a note in it.
    experts = {
        part: TorchAoConfig(getattr(quantization, _TORCHAO[name])()) for part in ("transformer", "transformer_2")
    }
    return PipelineQuantizationConfig(quant_mapping=experts)
