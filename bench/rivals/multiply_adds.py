"""Counts the multiply-adds that a transformer's blocks really execute, whatever a rival leaves out of them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode


def _linear(output: Tensor, _input: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    return output.numel() * weight.shape[-1]


def _matmul(output: Tensor, left: Tensor, *_: Any, **__: Any) -> int:
    return output.numel() * left.shape[-1]


def _addmm(output: Tensor, _added: Tensor, left: Tensor, *_: Any, **__: Any) -> int:
    return output.numel() * left.shape[-1]


def _attention(output: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    scores = query.numel() // query.shape[-1] * key.shape[-2]
    return scores * (query.shape[-1] + value.shape[-1])


_COUNTS: dict[Callable[..., Any], Callable[..., int]] = {
    functional.linear: _linear,
    functional.scaled_dot_product_attention: _attention,
    torch.matmul: _matmul,
    torch.mm: _matmul,
    torch.bmm: _matmul,
    torch.addmm: _addmm,
    torch.baddbmm: _addmm,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
}


class MultiplyAdds(TorchFunctionMode):
    """`total` of products in linear layers and attention, which is nearly all there are, while `depth` is not 0.

    Several times cheaper than `torch.utils.flop_counter`, which looks at every operator below these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.depth = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self.depth and (count := _COUNTS.get(func)) is not None:
            self.total += count(output, *args, **kwargs)
        return output


@contextmanager
def counted(blocks: Iterable[nn.Module]) -> Iterator[MultiplyAdds]:
    """Inside, what is multiplied and added within these blocks is counted."""
    counter = MultiplyAdds()

    def enter(*_: Any) -> None:
        counter.depth += 1

    def leave(*_: Any) -> None:
        counter.depth -= 1

    with ExitStack() as undo:
        for block in blocks:
            undo.callback(block.register_forward_pre_hook(enter).remove)
            undo.callback(block.register_forward_hook(leave, always_call=True).remove)
        undo.enter_context(counter)
        yield counter
