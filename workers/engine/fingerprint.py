"""Tells one set of weights from another in well under a second, whatever their size."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import diffusers
import torch
from safetensors import safe_open
from torch import Tensor, nn

from workers.models.parts import Part

_VALUES = 16  # looked at in each tensor


def fingerprint(*modules: nn.Module) -> str:
    """A hash over names, shapes and evenly spaced values of all parameters, fused adapters included.

    Of several modules the order counts: experts that swap places are other weights.

    Values are compared in bfloat16, so that the same checkpoint loaded in another dtype keeps its fingerprint.
    """
    return _hashed(
        (name, plain(parameter)) for module in modules for name, parameter in sorted(module.named_parameters())
    )


def fingerprint_of_plain(*modules: nn.Module) -> str:
    """The same, without those parameters that are quantized: of them only the names and shapes count."""
    named = ((name, each.detach()) for module in modules for name, each in sorted(module.named_parameters()))
    return _hashed((name, each if type(each) is Tensor else torch.empty(0)) for name, each in named)


def fingerprint_of_files(transformers: Sequence[tuple[Part, Sequence[Path]]]) -> str | None:
    """The same of weights that lie in files, without reading more of these than the values looked at.

    None where the files do not name each parameter as the module does, and only loading can tell.
    """
    with ExitStack() as stack:
        found: list[tuple[str, Tensor]] = []
        for part, files in transformers:
            opened = [stack.enter_context(safe_open(file, framework="pt")) for file in files]
            places = {name: each for each in opened for name in each.keys()}  # noqa: SIM118  # it is no mapping
            with torch.device("meta"):
                module = getattr(diffusers, part.class_name).from_config(dict(part.config))
            for name, parameter in sorted(module.named_parameters()):
                if name not in places or tuple(places[name].get_slice(name).get_shape()) != tuple(parameter.shape):
                    return None
                found.append((name, places[name].get_tensor(name)))
        return _hashed(found)


def _hashed(values: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in values:
        flat = tensor.flatten()
        picked = torch.linspace(0, flat.numel() - 1, min(_VALUES, flat.numel())).long().to(flat.device)
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(flat[picked].to(torch.bfloat16).cpu().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:32]


def plain(parameter: nn.Parameter) -> torch.Tensor:
    """The values; a quantized tensor, which is a class of its own, cannot be flattened or indexed."""
    values = parameter.detach()
    return values if type(values) is torch.Tensor else values.dequantize()
