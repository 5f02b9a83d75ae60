"""A process's part of what a run computes, where several compute it: its tokens, and its streams."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Shard:
    """The tokens of a block's output are the `index`-th of `count` equal parts.

    together: from `[streams, blocks, batch, 2]`, sums over this process's watched tokens of its streams on the CPU, to
        sums over all tokens and streams. Called once at each full step but a segment's first, by all processes.
    """

    index: int = 0
    count: int = 1
    together: Callable[[Tensor], Tensor] = lambda sums: sums

    def own(self, indices: Tensor, tokens: int) -> Tensor:
        """Of indices of tokens of the whole output those of this part, in it. tokens: how many the part has."""
        return indices[indices // tokens == self.index] - self.index * tokens


WHOLE = Shard()
