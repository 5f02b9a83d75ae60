"""CFG parallelism: of the two streams of classifier-free guidance each rank computes one, and gets the other's output.

The pipeline calls its transformer twice a step and needs the first output only when it has the second, so what a rank
has not computed is filled in at the end of the second call: one exchange a step.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from diffusers.hooks import ModelHook
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn

from workers.caching.hook import hooked


@contextmanager
def one_stream_each(transformers: Sequence[nn.Module], group: dist.ProcessGroup) -> Iterator[None]:
    """Inside, of two calls each rank of a group of two computes one, and both get what they would have computed.

    transformers: of a pipeline that calls them twice a step, with and without the prompt.
    """
    with ExitStack() as undo:
        for transformer in transformers:
            undo.enter_context(hooked(transformer, _OneStream(group), "one_stream"))
        yield


class _OneStream(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    def __init__(self, group: dist.ProcessGroup) -> None:
        super().__init__()
        self._group, self._mine = group, dist.get_rank(group)
        self._call = 0
        self._first: Tensor | None = None  # the output that the pipeline has, or its place
        self._own: Tensor | None = None

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        call, self._call = self._call, 1 - self._call
        if call == self._mine:
            self._own = _sample(self.fn_ref.original_forward(*args, **kwargs))
        if call == 0:
            # Without a shape, which only the other rank knows now: whoever holds it sees it filled.
            self._first = self._own if self._mine == 0 else torch.empty(0)
            sample = self._first
        else:
            sample = self._exchanged()
        return Transformer2DModelOutput(sample=sample) if kwargs.get("return_dict", True) else (sample,)

    def _exchanged(self) -> Tensor:
        """The second stream's output, with the first one's in its place."""
        assert self._own is not None and self._first is not None
        own = self._own.contiguous()
        both = [torch.empty_like(own) for _ in range(2)]
        dist.all_gather(both, own, group=self._group)
        if self._mine == 1:
            self._first.data = both[0]  # as `Module.to` does: also of another type, on another device
        self._own = self._first = None
        return both[1]


def _sample(output: Any) -> Tensor:
    sample: Tensor = output[0]
    return sample
