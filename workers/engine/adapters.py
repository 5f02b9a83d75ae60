"""LoRAs: read from safetensors alone, whole or not at all, and made part of the weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from huggingface_hub import hf_hub_download, list_repo_files
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn

from workers.engine.lora_keys import FORMS, rewritten
from workers.jobs.errors import ModelLoadFailed
from workers.models.entry import Lora

SUFFIX = ".safetensors"
#: So many of the keys that fit nothing are named.
NAMED = 3


def fuse(pipeline: DiffusionPipeline, loras: Sequence[Lora]) -> None:
    """Make adapters part of the weights; nothing of them stays beside. Raises `ModelLoadFailed`."""
    if not loras:
        return
    if not hasattr(pipeline, "fuse_lora"):
        raise ModelLoadFailed(f"loras: {type(pipeline).__name__} takes none")
    names = [f"lora_{number}" for number in range(len(loras))]
    for name, lora in zip(names, loras, strict=True):
        if getattr(pipeline, lora.transformer, None) is None:  # Some pipelines would put it into the other one.
            raise ModelLoadFailed(f"lora {lora.source}: this model has no {lora.transformer}")
        try:
            _load(pipeline, lora, name)
        except Exception as error:  # whatever the reader of a file raises
            raise ModelLoadFailed(f"lora {lora.source}: {error}") from error
    carriers = [part for part, carried in pipeline.get_list_adapters().items() if carried]
    pipeline.set_adapters(names, [lora.scale for lora in loras])
    pipeline.fuse_lora(components=carriers)
    pipeline.unload_lora_weights()


def _load(pipeline: DiffusionPipeline, lora: Lora, name: str) -> None:
    path = _file(lora)
    tensors = load_file(path)
    for key, tensor in tensors.items():
        if "dora_scale" in key or "lora_magnitude_vector" in key:
            raise ValueError(f"{key}: it is a DoRA, whose scales would be left out")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{key} has values that are not finite")
    file: dict[str, Any] = {"weight_name": path.name, "use_safetensors": True}
    written = rewritten(tensors, path)
    source: Any = str(path.parent) if written is None else written
    converted = _converted(pipeline, source if written is None else dict(written), file, next(iter(tensors), "none"))
    _check_fit(getattr(pipeline, lora.transformer), converted)
    expert = {} if lora.transformer == "transformer" else {f"load_into_{lora.transformer}": True}
    pipeline.load_lora_weights(source, adapter_name=name, **file, **expert)
    # diffusers leaves out, without an error, what has the name of no layer.
    _refuse_homeless(sorted(converted.keys() - _loaded(pipeline, lora, name)))


def _converted(pipeline: DiffusionPipeline, source: Any, file: dict[str, Any], first: str) -> dict[str, torch.Tensor]:
    """The tensors by diffusers' names. Raises `ValueError` where it has none for them."""
    try:
        tensors: dict[str, torch.Tensor] = pipeline.lora_state_dict(source, **file)
    except Exception as error:  # whatever one of its many readers of names raises
        cause = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(f"diffusers cannot convert its keys, as {first} ({cause}); read are {FORMS}") from error
    if foreign := sorted(key for key in tensors if "lora" not in key):
        raise ValueError(f"{len(foreign)} of its keys are in no known form: {_some(foreign)}; read are {FORMS}")
    return tensors


def _check_fit(transformer: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise `ValueError` for tensors that no layer has a place for, or of another width: they are of another model."""
    modules = dict(transformer.named_modules())
    homeless, unfit = [], []
    for key, tensor in sorted(tensors.items()):
        layer, _, half = key.removeprefix("transformer.").rpartition(".lora_")
        weight = getattr(modules.get(layer), "weight", None)
        if weight is None:
            homeless += [key] if key.startswith("transformer.") else []
        elif tensor.ndim > 1 and half[:1] in ("A", "B"):
            has, needs = (tensor.shape[1], weight.shape[1]) if half[0] == "A" else (tensor.shape[0], weight.shape[0])
            unfit += [f"{key} {has} for {needs}"] if has != needs else []
    _refuse_homeless(homeless)
    if unfit:
        raise ValueError(f"size mismatch, it is of another model: {len(unfit)} tensors, {_some(unfit)}")


def _refuse_homeless(keys: Sequence[str]) -> None:
    if keys:
        raise ValueError(f"{len(keys)} of its tensors fit no layer of this model: {_some(keys)}; read are {FORMS}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _loaded(pipeline: DiffusionPipeline, lora: Lora, name: str) -> set[str]:
    """The keys of the file, in diffusers' format, that layers of the pipeline have taken."""
    keys = set()
    for part, carried in pipeline.get_list_adapters().items():
        if name in carried:
            prefix = "transformer" if part == lora.transformer else part
            taken = get_peft_model_state_dict(getattr(pipeline, part), adapter_name=name)
            keys |= {f"{prefix}.{key}" for key in taken}
    return keys


def _file(lora: Lora) -> Path:
    """The safetensors file, fetched from the hub if it is one there. Raises `ValueError`, and what the hub raises."""
    path = Path(lora.source)
    if path.is_file():
        return _safetensors(path)
    if path.is_absolute() and not path.is_dir():
        raise ValueError("there is no such file or folder")
    if lora.weight_name is not None:
        found = path / lora.weight_name if path.is_dir() else None
        if found is not None and not found.is_file():
            raise ValueError(f"weight_name {lora.weight_name!r}: there is no such file in the folder")
        return _safetensors(found or Path(hf_hub_download(lora.source, lora.weight_name, revision=lora.revision)))
    names = (
        [file.name for file in path.iterdir()]
        if path.is_dir()
        else list_repo_files(lora.source, revision=lora.revision)
    )
    names = sorted(each for each in names if each.endswith(SUFFIX))
    if len(names) != 1:
        raise ValueError(f"it has {len(names)} {SUFFIX} files; set weight_name to one of: {', '.join(names) or '-'}")
    return _file(lora.model_copy(update={"weight_name": names[0]}))


def _safetensors(path: Path) -> Path:
    if path.suffix != SUFFIX:
        raise ValueError(f"{path.name} must be a {SUFFIX} file: others may run code when they are read")
    return path
