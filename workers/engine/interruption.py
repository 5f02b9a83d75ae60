"""Stopping a generation also where no step ends: while a prompt is read, and while a result is decoded."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from workers.engine.loaded import LoadedModel


@contextmanager
def interruptible(model: LoadedModel, check: Callable[[], None]) -> Iterator[None]:
    """Inside, `check` is called before each layer of all but the transformers; what it raises ends the generation.

    Of a model that several compute nothing is asked: all ranks end a run at the same place, the end of a step.

    Before it is asked the device has caught up, or the host would be far ahead of it. That makes these parts slower.
    Transformers are left alone, as their steps are asked anyway, and compiled ones would be compiled anew.
    """
    if model.share is not None:
        yield
        return
    device = model.pipeline._execution_device  # Looks through all modules, so it is asked once.
    transformers = model.family.transformers(model.pipeline)
    parts = [
        part
        for part in model.pipeline.components.values()
        if isinstance(part, nn.Module) and not any(part is transformer for transformer in transformers)
    ]

    def before(layer: nn.Module, _inputs: Any) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        check()

    with ExitStack() as undo:
        for part in parts:
            # A decoder that goes frame by frame keeps features of the last one.
            if callable(forget := getattr(part, "clear_cache", None)):
                undo.callback(forget)
            for layer in part.modules():
                undo.callback(layer.register_forward_pre_hook(before).remove)
        yield
