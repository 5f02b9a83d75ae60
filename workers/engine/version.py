"""What a loaded model computes with, in one digest: where it is equal, equal requests get equal files."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from torch import nn

from workers.build import build
from workers.engine.fingerprint import fingerprint_of_plain
from workers.models.entry import ModelEntry

#: Of an entry, what no file follows from, or what is told by its content instead of its place.
_ELSEWHERE = {
    "name", "source", "revision", "served", "device", "warmup_steps", "calibrate_when_idle", "shadow_share", "limits",
    "coefficients", "evaluation", "preview_decoder",
}  # fmt: skip
#: Whose releases differ in what they compute or write.
_LIBRARIES = ("torch", "diffusers", "transformers", "av", "pillow")


def version_of(entry: ModelEntry, pipeline: DiffusionPipeline, weights: str, files: Iterable[Path]) -> str:
    """16 letters in hexadecimal.

    weights: fingerprint of the transformers'. files: those of coefficients that were read.
    """
    modules = [part for _, part in sorted(pipeline.components.items()) if isinstance(part, nn.Module)]
    told = {
        "entry": entry.model_dump(mode="json", exclude=_ELSEWHERE),
        "weights": [weights, fingerprint_of_plain(*modules)],
        "scheduler": [type(pipeline.scheduler).__name__, dict(pipeline.scheduler.config)],
        "coefficients": [hashlib.sha256(path.read_bytes()).hexdigest() for path in files],
        "libraries": build("worker", *_LIBRARIES),
        "device": _device(torch.device(entry.device)),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _device(device: torch.device) -> list[object]:
    """Kinds of devices round differently, and so does a CPU with another number of threads."""
    if device.type == "cuda":
        return [torch.cuda.get_device_name(device)]
    return [device.type, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()]
