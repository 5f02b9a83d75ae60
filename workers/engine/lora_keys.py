"""The names that LoRA files give their tensors, those of peft and `save_lora_adapter` as diffusers would write them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft.utils.other import get_pattern_key
from safetensors import safe_open
from torch import Tensor

PEFT = "base_model.model."
PEFT_CONFIG = "adapter_config.json"
#: Where diffusers keeps a peft configuration in a file's metadata.
METADATA = "lora_adapter_metadata"
FORMS = (
    "transformer.<layer>.lora_A.weight (diffusers), base_model.model.<layer>.lora_A.weight (peft), "
    "<layer>.lora_A.weight (save_lora_adapter), and diffusion_model.… and lora_unet_… as far as diffusers converts them"
)


def rewritten(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor] | None:
    """The tensors of a file of peft or `save_lora_adapter` by diffusers' names, with its alpha in their values.

    None for a file in another form, which diffusers reads as it is. Raises `ValueError` where the alpha is not known.
    """
    if all(name.startswith(PEFT) for name in tensors):
        config = _peft_config(file)
        plain = {name.removeprefix(PEFT).replace(".default.", "."): tensor for name, tensor in tensors.items()}
    elif all(_is_of_a_model(name) for name in tensors):
        with safe_open(file, framework="pt") as opened:
            config = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
        plain = dict(tensors)
    else:
        return None
    ranks = {name.split(".lora_A.")[0]: tensor.shape[0] for name, tensor in plain.items() if ".lora_A." in name}
    return {
        f"transformer.{name}": tensor * _scale(layer, ranks[layer], config) if layer in ranks else tensor
        for name, tensor in plain.items()
        for layer in [name.split(".lora_B.")[0]]
    }


def _is_of_a_model(name: str) -> bool:
    """Whether a name has no part of a pipeline in front, as `save_lora_adapter` writes it."""
    return (".lora_A." in name or ".lora_B." in name) and not name.startswith(("transformer.", "diffusion_model."))


def _peft_config(file: Path) -> dict[str, Any]:
    path = file.with_name(PEFT_CONFIG)
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{PEFT_CONFIG}, which has the lora_alpha of peft's {file.name}, must be beside it") from None
    except ValueError as error:
        raise ValueError(f"{PEFT_CONFIG} is cut off or damaged: {error}") from error
    if config.get("use_dora"):
        raise ValueError(f"{PEFT_CONFIG}: it is a DoRA, whose scales would be left out")
    return config


def _scale(layer: str, rank: int, config: Mapping[str, Any]) -> float:
    """What peft multiplies a layer's product with; 1 where a file says no alpha, as diffusers has it."""
    patterns = config.get("alpha_pattern") or {}
    alpha = patterns.get(get_pattern_key(list(patterns), layer), config.get("lora_alpha"))
    return 1.0 if alpha is None else alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
