"""What the text encoders made of earlier prompts, kept in the host's memory: the same prompt is encoded once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping

import torch
from torch import Tensor

Embeddings = Mapping[str, Tensor | None]


class PromptCache:
    """Belongs to one thread. Gives back the very bits that were put in; those that were not used for longest give way.

    most_bytes: of all tensors together; 0 keeps none. hits, misses: how often it had what was asked for, and had not.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, Embeddings] = OrderedDict()
        self.size_bytes = 0
        self.hits = self.misses = 0

    def get(self, key: Hashable, device: torch.device, encode: Callable[[], Embeddings]) -> Embeddings:
        """The embeddings of a key on the device: those that are kept, else those of `encode`."""
        if (kept := self._kept.get(key)) is not None:
            self.hits += 1
            self._kept.move_to_end(key)
            return _copied(kept, device)
        self.misses += 1
        made = encode()
        self._keep(key, made)
        return made

    def _keep(self, key: Hashable, made: Embeddings) -> None:
        if _bytes(made) > self._most:
            return
        self._kept[key] = _copied(made, torch.device("cpu"))
        self.size_bytes += _bytes(made)
        while self.size_bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self.size_bytes -= _bytes(oldest)


def _copied(embeddings: Embeddings, device: torch.device) -> Embeddings:
    """A pipeline may write into what it is given."""
    return {name: None if each is None else each.to(device, copy=True) for name, each in embeddings.items()}


def _bytes(embeddings: Embeddings) -> int:
    return sum(each.nbytes for each in embeddings.values() if each is not None)
