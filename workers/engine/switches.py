"""The catalogue's switches, each one of diffusers' own, put onto a pipeline that was just read."""

from collections.abc import Sequence

import torch
from diffusers import DiffusionPipeline
from diffusers.models.attention_dispatch import attention_backend
from torch import nn

from workers.jobs.errors import ModelLoadFailed
from workers.models.entry import ModelEntry


def check_device(entry: ModelEntry) -> None:
    """Raise `ModelLoadFailed` when this machine does not have the entry's device: before gigabytes are read."""
    if entry.device == "cpu":
        return
    if not torch.cuda.is_available():
        raise ModelLoadFailed(f"device {entry.device!r}: torch finds no CUDA device on this machine")
    index, count = torch.device(entry.device).index or 0, torch.cuda.device_count()
    if index >= count:
        raise ModelLoadFailed(f"device {entry.device!r}: this machine has {count}, number {index} is not among them")


def apply(pipeline: DiffusionPipeline, transformers: Sequence[nn.Module], entry: ModelEntry) -> None:
    """Tiling, attention, compilation, and last the place of the weights. Raises `ModelLoadFailed`."""
    for wanted, name in ((entry.vae_tiling, "tiling"), (entry.vae_slicing, "slicing")):
        if wanted:
            _call(pipeline.vae, f"enable_{name}", f"vae_{name}")
    for transformer in transformers:
        if entry.attention_backend is not None:
            # The call also changes the default of all models of the process; this puts it back.
            with attention_backend():
                _call(transformer, "set_attention_backend", "attention_backend", entry.attention_backend)
        if entry.compile:
            _call(transformer, "compile_repeated_blocks", "compile")
    _place(pipeline, entry)


def _place(pipeline: DiffusionPipeline, entry: ModelEntry) -> None:
    if entry.offload == "model":
        pipeline.enable_model_cpu_offload(device=entry.device)
    elif entry.offload == "group":
        pipeline.enable_group_offload(
            onload_device=torch.device(entry.device),
            offload_type="block_level",
            num_blocks_per_group=entry.offload_blocks,
            # Pipelines call their methods rather than `forward`, which is what brings weights back.
            exclude_modules=["vae", "image_encoder"],
        )
    else:
        pipeline.to(entry.device)


def _call(model: nn.Module, method: str, field: str, *arguments: str) -> None:
    if not hasattr(model, method):
        raise ModelLoadFailed(f"{field}: {type(model).__name__} has no {method}")
    try:
        getattr(model, method)(*arguments)
    except (ValueError, RuntimeError, ImportError) as error:
        raise ModelLoadFailed(f"{field} {' '.join(arguments)}: {error}") from error
