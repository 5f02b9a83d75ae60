"""Every forecast of the last block's output is a weighted sum of those at full steps; rules say which are full."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

Weights = Callable[[Sequence[int], int], Sequence[float]]
"""(the latest full steps, rising; the step to predict) to a weight for each of them."""


class Rule(Protocol):
    """What decides which steps are computed in full; a part of the cache method's protocol."""

    @property
    def full(self) -> bool: ...

    def observe(self, stream: str, block: int, hidden: Tensor) -> None: ...

    def end_step(self) -> None: ...


class Mask:
    """Full steps that are known before the run."""

    def __init__(self, full_steps: Collection[int]) -> None:
        self._full_steps = frozenset(full_steps)
        self._step = 0

    @property
    def full(self) -> bool:
        return self._step in self._full_steps

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """Nothing that is observed changes the mask."""

    def end_step(self) -> None:
        self._step += 1


class Forecast:
    """A cache method of a rule and of weights.

    last_block: the index of the last block. anchors: how many of the latest outputs are kept, None keeps all.
    """

    def __init__(self, rule: Rule, weights: Weights, last_block: int, anchors: int | None) -> None:
        self._rule = rule
        self._weights = weights
        self._last_block = last_block
        self._anchors = anchors
        self._step = 0
        self._full_steps: list[int] = []
        self._outputs: dict[str, deque[Tensor]] = {}

    @property
    def full(self) -> bool:
        return self._rule.full

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        self._rule.observe(stream, block, hidden)
        if block == self._last_block:
            self._outputs.setdefault(stream, deque(maxlen=self._anchors)).append(hidden)

    def predict(self, stream: str) -> Tensor:
        outputs = self._outputs[stream]
        return weighted_sum(self._weights(self._full_steps[-len(outputs) :], self._step), outputs)

    def end_step(self) -> None:
        if self._rule.full:
            self._full_steps.append(self._step)
        self._rule.end_step()
        self._step += 1


def weighted_sum(weights: Sequence[float], outputs: Collection[Tensor]) -> Tensor:
    """In float32, rounded once to the dtype of the outputs."""
    first = next(iter(outputs))
    total = torch.zeros_like(first, dtype=torch.float32)
    for weight, output in zip(weights, outputs, strict=True):
        total.add_(output, alpha=weight)
    return total.to(first.dtype)


def reuse(full_steps: Sequence[int], step: int) -> list[float]:
    """The latest output as it is."""
    return [*[0.0] * (len(full_steps) - 1), 1.0]


def taylor(order: int) -> Weights:
    """TaylorSeer's: finite differences of the latest outputs as derivatives (https://arxiv.org/abs/2503.06923).

    The j-th difference is that of the (j-1)-th ones at the two latest full steps, over the distance of those steps. As
    many orders as there are outputs for.
    """

    def weights(full_steps: Sequence[int], step: int) -> list[float]:
        ahead = step - full_steps[-1]
        total = [0.0] * len(full_steps)
        factor = 1.0
        for j, difference in enumerate(_differences(full_steps, order)):
            factor = factor * ahead / j if j else 1.0
            total = [a + factor * b for a, b in zip(total, difference, strict=True)]
        return total

    return weights


def _differences(full_steps: Sequence[int], order: int) -> list[list[float]]:
    """For each order the weights of the outputs that make the difference at the latest full step."""
    count = len(full_steps)
    rows = [[float(i == k) for i in range(count)] for k in range(count)]  # of order 0, at every full step
    latest = [rows[-1]]
    for _ in range(min(order, count - 1)):
        gaps = [after - before for before, after in pairwise(full_steps[-len(rows) :])]
        rows = [
            [(x - y) / gap for x, y in zip(after, before, strict=True)]
            for (before, after), gap in zip(pairwise(rows), gaps, strict=True)
        ]
        latest.append(rows[-1])
    return latest
