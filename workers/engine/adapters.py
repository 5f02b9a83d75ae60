"""LoRAs: read from safetensors alone, whole or not at all, and made part of the weights."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from huggingface_hub import hf_hub_download, list_repo_files
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file

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
    for key, tensor in load_file(path).items():
        if "dora_scale" in key:
            raise ValueError(f"{key}: it is a DoRA, whose scales would be left out")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{key} has values that are not finite")
    file = {"weight_name": path.name, "use_safetensors": True}
    expert = {} if lora.transformer == "transformer" else {f"load_into_{lora.transformer}": True}
    pipeline.load_lora_weights(str(path.parent), adapter_name=name, **file, **expert)
    # diffusers leaves out, without an error, what has the name of no layer.
    unfit = sorted(pipeline.lora_state_dict(str(path.parent), **file).keys() - _loaded(pipeline, lora, name))
    if unfit:
        raise ValueError(
            f"{len(unfit)} of its tensors fit no layer of this model: {', '.join(unfit[:NAMED])}"
            + (", ..." if len(unfit) > NAMED else "")
        )


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
