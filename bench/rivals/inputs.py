"""What a transformer is called with, seen before any cache method decides, and what it makes of that at first."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks.hooks import StateManager
from torch import Tensor, nn

from bench.rivals.rival import Refused

_NAME = "rival_inputs"

Told = Callable[[str, dict[str, Any]], None]
"""(the pipeline's cache context, the arguments of the transformer's forward by name)."""


class _Place(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """Learns the cache context of each call."""

    _is_stateful = True  # so that `cache_context` reaches `place`

    def __init__(self) -> None:
        super().__init__()
        self.place = StateManager(None)

    def reset_state(self, module: nn.Module) -> nn.Module:
        return module


@contextmanager
def watched(transformer: nn.Module, told: Told) -> Iterator[None]:
    """Inside, `told` hears of each call of the transformer before its forward, hooked or not, begins."""
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    place = _Place()
    parameters = signature(type(transformer).forward)

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments = parameters.bind(module, *args, **kwargs).arguments
        arguments.pop("self")
        told(str(place.place.context.name), arguments)

    with ExitStack() as undo:
        registry.register_hook(place, _NAME)
        undo.callback(registry.invalidate_child_registries_cache)
        undo.callback(registry.remove_hook, _NAME, recurse=False)
        registry.invalidate_child_registries_cache()
        undo.callback(transformer.register_forward_pre_hook(before, with_kwargs=True).remove)
        yield


def embedded(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    """The image or video tokens that the first block gets, `[batch, tokens, channels]`."""
    return _known(transformer)[0](transformer, arguments)


def indicator(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    """What TeaCache watches: the first block's modulated input, and with Wan the timestep's embedding."""
    return _known(transformer)[1](transformer, arguments)


def _known(transformer: Any) -> tuple[Callable[[Any, dict[str, Any]], Tensor], ...]:
    name = type(transformer).__name__
    if name not in _BEFORE_THE_BLOCKS:
        raise Refused(f"written for {', '.join(_BEFORE_THE_BLOCKS)}, not for {name}")
    return _BEFORE_THE_BLOCKS[name]


def _wan_tokens(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    patches: Tensor = transformer.patch_embedding(arguments["hidden_states"])
    return patches.flatten(2).transpose(1, 2)


def _wan_time(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    embedder = transformer.condition_embedder
    projected = embedder.timesteps_proj(arguments["timestep"].flatten())
    embedding: Tensor = embedder.time_embedder(projected.to(next(embedder.time_embedder.parameters()).dtype))
    return embedding


def _embedder_tokens(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    tokens: Tensor = transformer.x_embedder(arguments["hidden_states"])
    return tokens


def _flux_modulated(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    tokens = _embedder_tokens(transformer, arguments)
    conditions = [arguments["timestep"].to(tokens.dtype) * 1000]
    if (guidance := arguments.get("guidance")) is not None:
        conditions.append(guidance.to(tokens.dtype) * 1000)
    return _modulated(transformer, tokens, transformer.time_text_embed(*conditions, arguments["pooled_projections"]))


def _hunyuan_modulated(transformer: Any, arguments: dict[str, Any]) -> Tensor:
    conditions = arguments["timestep"], arguments["pooled_projections"], arguments.get("guidance")
    tokens = _embedder_tokens(transformer, arguments)
    return _modulated(transformer, tokens, transformer.time_text_embed(*conditions)[0])


def _modulated(transformer: Any, tokens: Tensor, temb: Tensor) -> Tensor:
    modulated: Tensor = transformer.transformer_blocks[0].norm1(tokens, emb=temb)[0]
    return modulated


_BEFORE_THE_BLOCKS = {
    "WanTransformer3DModel": (_wan_tokens, _wan_time),
    "FluxTransformer2DModel": (_embedder_tokens, _flux_modulated),
    "HunyuanVideoTransformer3DModel": (_embedder_tokens, _hunyuan_modulated),
}
