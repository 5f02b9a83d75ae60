"""Context parallelism: each rank computes a part of the tokens, by diffusers' hooks and its attention."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig
from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks.context_parallel import apply_context_parallel
from diffusers.models._modeling_parallel import ContextParallelOutput, ParallelConfig
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.device_mesh import DeviceMesh

from workers.parallel.world import RING, ULYSSES


@dataclass(frozen=True)
class SequencePlan:
    """Where a family's transformer is split and put together again.

    splits: by the name of a module, as diffusers' `_cp_plan`: inputs to split, outputs to gather.
    whole: by the name of a module the position of the one argument that it needs whole though it was split before, and
        the dimension of that.
    masked: whether attention goes by a mask of the tokens, which ring attention does not split.
    """

    splits: Mapping[str, Any]
    whole: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    masked: bool = False


def complaint(heads: int, ulysses: int, ring: int, plan: SequencePlan | None) -> str | None:
    """Why a transformer with so many attention heads cannot be split so; None where it can."""
    if plan is None:
        return "this family has no plan to split its tokens; leave ulysses and ring out"
    if heads % ulysses:
        return f"ulysses {ulysses} must divide the transformer's {heads} attention heads"
    if plan.masked and ring > 1:
        return f"ring {ring}: attention of this family goes by a mask, which ring attention does not split; use ulysses"
    return None


def split(transformer: Any, plan: SequencePlan, mesh: DeviceMesh) -> None:
    """Have a transformer compute this rank's part of the tokens and give the whole output, for as long as it lives.

    mesh: with the dimensions `ring` and `ulysses`. Raises `ValueError` where the attention backend cannot.

    As `enable_parallelism`, which finds no device on a machine without an accelerator.
    """
    config = ParallelConfig(
        context_parallel_config=ContextParallelConfig(
            ring_degree=mesh[RING].size(), ulysses_degree=mesh[ULYSSES].size(), mesh=mesh[RING, ULYSSES]
        )
    )
    config.setup(dist.get_rank(), dist.get_world_size(), torch.device(mesh.device_type), mesh=mesh[RING, ULYSSES])
    transformer._parallel_config = config
    for module in transformer.modules():
        processor: Any = getattr(module, "processor", None)
        if isinstance(module, Attention | AttentionModuleMixin) and hasattr(processor, "_parallel_config"):
            _check_backend(processor)
            processor._parallel_config = config
    apply_context_parallel(transformer, config.context_parallel_config, dict(plan.splits))
    for name, (position, dimension) in plan.whole.items():
        whole = _Whole(position, dimension, config.context_parallel_config._flattened_mesh)
        _hook(transformer, name, whole, "whole_input")
    for name, wanted in plan.splits.items():
        if isinstance(wanted, ContextParallelOutput):
            _hook(transformer, name, _Arrived(), "arrived_output")


def _hook(transformer: nn.Module, name: str, hook: ModelHook, hook_name: str) -> None:
    HookRegistry.check_if_exists_or_initialize(transformer.get_submodule(name)).register_hook(hook, hook_name)


def _check_backend(processor: Any) -> None:
    chosen = processor._attention_backend
    backend = _AttentionBackendRegistry.get_active_backend()[0] if chosen is None else AttentionBackendName(chosen)
    if not _AttentionBackendRegistry._is_context_parallel_available(backend):
        able = ", ".join(sorted(_AttentionBackendRegistry._supports_context_parallel))
        raise ValueError(f"attention_backend {backend.value} cannot share tokens between GPUs; those that can: {able}")


class _Whole(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """Gathers one argument of a module, of which each rank has its part."""

    def __init__(self, position: int, dimension: int, mesh: DeviceMesh) -> None:
        super().__init__()
        self._position, self._dimension, self._group = position, dimension, mesh.get_group()

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        part: Tensor = args[self._position].contiguous()
        parts = [torch.empty_like(part) for _ in range(dist.get_world_size(self._group))]
        dist.all_gather(parts, part, group=self._group)
        before, after = args[: self._position], args[self._position + 1 :]
        return (*before, torch.cat(parts, dim=self._dimension), *after), kwargs


class _Arrived(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """Waits for what was gathered: until it is used it is a promise, which has no memory that could be looked at."""

    def post_forward(self, module: nn.Module, output: Any) -> Any:
        return output.wait() if isinstance(output, AsyncCollectiveTensor) else output
