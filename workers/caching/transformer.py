"""Puts a cache method onto a diffusers transformer from outside, and takes it off again without a trace."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks.hooks import StateManager
from torch import Tensor, nn

from workers.caching.hook import hooked
from workers.jobs.errors import UnsupportedPipeline


class CacheMethod(Protocol):
    """What a cache method answers while a transformer runs. `stream` is the pipeline's cache context."""

    @property
    def full(self) -> bool:
        """Whether the blocks run at this step."""

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """The output of `block`, image or video tokens only: `[batch, tokens, channels]`."""

    def predict(self, stream: str) -> Tensor:
        """The last block's output at a step whose blocks do not run."""

    def end_step(self) -> None:
        """All streams of the current step have run."""


@dataclass(frozen=True)
class BlockLayout:
    """How a family's transformer is built.

    blocks: the blocks in the order in which they run.
    hidden: the image or video tokens `[batch, tokens, channels]` in what a block returns.
    head: what the transformer does after the last block, for given hidden states and the arguments of `forward`.
    """

    blocks: Callable[[Any], Sequence[nn.Module]]
    hidden: Callable[[Any], Tensor]
    head: Callable[..., Any]


class _ForwardHook(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """Replaces the transformer's forward: run the blocks, or only the head on a prediction."""

    _is_stateful = True  # so that `cache_context` reaches `place`

    def __init__(
        self, layout: BlockLayout, method: CacheMethod, signature: inspect.Signature, registry: HookRegistry
    ) -> None:
        super().__init__()
        self._registry = registry
        self.place = StateManager(None)
        self._layout = layout
        self._method = method
        self._signature = signature

    @property
    def stream(self) -> str:
        try:
            return str(self.place.context.name)
        except ValueError:
            raise UnsupportedPipeline(
                "the pipeline does not enter cache_context around its transformer calls, so the streams of guidance "
                "cannot be told apart; run it uncached (sf = steps)"
            ) from None

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        stream = self.stream
        if self._method.full:
            return self.fn_ref.original_forward(*args, **kwargs)
        # What other hooks do around the transformer, like bringing offloaded weights back, the head needs as well.
        others = [other for other in self._registry.hooks.values() if other is not self]
        for other in reversed(others):
            args, kwargs = other.pre_forward(module, *args, **kwargs)
        arguments = self._signature.bind(module, *args, **kwargs).arguments
        arguments.pop("self")
        output = self._layout.head(module, self._method.predict(stream), **arguments)
        for other in others:
            output = other.post_forward(module, output)
        return output

    def reset_state(self, module: nn.Module) -> nn.Module:
        return module


@contextmanager
def attached(transformer: nn.Module, layout: BlockLayout, method: CacheMethod) -> Iterator[None]:
    """Inside, the transformer asks `method` at each call; outside, it is the stock transformer again.

    Raises `UnsupportedPipeline` when the transformer already carries a method, or at the first call when the pipeline
    gives no cache context.
    """
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    hook = _ForwardHook(layout, method, inspect.signature(type(transformer).forward), registry)
    with ExitStack() as undo:
        undo.enter_context(hooked(transformer, hook))
        for index, block in enumerate(layout.blocks(transformer)):
            undo.callback(_watch(block, _observer(hook, layout, method, index)))
        yield


def _watch(block: nn.Module, observe: Callable[..., None]) -> Callable[[], None]:
    """Have `observe` see each of the block's outputs. Gives what ends it."""
    compiled = block._compiled_call_impl
    if compiled is None:
        return block.register_forward_hook(observe).remove

    # `compile` takes a block's hooks into the graph, and does not look for those that come later.
    def call(*args: Any, **kwargs: Any) -> Any:
        output = compiled(*args, **kwargs)
        observe(block, args, output)
        return output

    def undo() -> None:
        block._compiled_call_impl = compiled

    block._compiled_call_impl = call
    return undo


def _observer(hook: _ForwardHook, layout: BlockLayout, method: CacheMethod, index: int) -> Callable[..., None]:
    def observe(_block: nn.Module, _args: Any, output: Any) -> None:
        method.observe(hook.stream, index, layout.hidden(output))

    return observe
