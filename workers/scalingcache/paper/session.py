"""The state of one generation: what the last full step left behind, and what follows from it.

A session is made when a generation starts and closed when it ends, however it ends. It never counts calls: the caller
says which stream an output belongs to and when a step is over.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from workers.scalingcache.paper.controller import IntervalController, IntervalSettings
from workers.scalingcache.paper.predictor import difference, difference_ratio, extrapolation, predict
from workers.scalingcache.paper.shard import WHOLE, Shard
from workers.scalingcache.sampling import norms, ratio, sample_indices


@dataclass
class _Stream:
    """One stream's memory. Only the last block is kept whole; of the others a few tokens, to form rho.

    changes: by block the norms of its watched tokens and of their change, `[batch, 2]`.
    """

    y: Tensor | None = None
    delta: Tensor | None = None
    watched: dict[int, Tensor] = field(default_factory=dict)
    changes: dict[int, Tensor] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        return [t for t in (self.y, self.delta, *self.watched.values(), *self.changes.values()) if t is not None]


class Session:
    """ScalingCache for one generation.

    At a full step, give every block's output to `observe`; at a predicted step ask `predict` for the last block's
    output in place of running any block; call `end_step` after the scheduler's step.
    """

    def __init__(
        self,
        settings: IntervalSettings,
        alpha: Tensor,
        *,
        watched_tokens: int = 32,
        seed: int = 0,
        shard: Shard = WHOLE,
    ) -> None:
        """
        settings: the knobs of the interval.
        alpha: coefficients `[steps, blocks]` on the CPU; alpha[0] and alpha[1] are never used.
        watched_tokens: how many tokens of each block form its relative change.
        seed: of the choice of those tokens.
        shard: this process's part of the tokens, where several compute the generation.
        """
        self._alpha = alpha.double()
        self._controller = IntervalController(settings, self._alpha)
        self.watched_tokens = watched_tokens
        self._seed, self._shard = seed, shard
        self._indices: dict[tuple[int, int, torch.device], Tensor] = {}
        self._streams: dict[str, _Stream] = {}
        self.peak_cache_bytes = 0

    @property
    def step(self) -> int:
        """The current step, from 0."""
        return self._controller.step

    @property
    def full(self) -> bool:
        """Whether the current step is computed in full."""
        return self._controller.full

    @property
    def controller(self) -> IntervalController:
        """For reports: decisions, and epsilon and delta before each step."""
        return self._controller

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """Take in the output of `block` at a full step. hidden: `[batch, tokens, channels]` of the image or video."""
        memory = self._streams.setdefault(stream, _Stream())
        watched = hidden[:, self._tokens(hidden, block)]
        if block in memory.watched:
            memory.changes[block] = norms(watched, memory.watched[block])
        memory.watched[block] = watched
        if block == self._alpha.shape[1] - 1:
            if memory.y is not None:
                memory.delta = difference(hidden, memory.y, float(self._ratio()[block]))
            memory.y = hidden

    def predict(self, stream: str) -> Tensor:
        """The last block's output at the current, predicted step; same shape and dtype as observed."""
        memory = self._streams.get(stream)
        if memory is None or memory.y is None or memory.delta is None:
            raise RuntimeError(f"stream {stream!r} was not seen at two full steps before step {self.step}")
        c = extrapolation(self._alpha[:, -1], self._controller.tau, self.step)
        return predict(memory.y, memory.delta, float(c))

    def end_step(self) -> None:
        """End the current step; at a full step, one read from the device decides the whole next interval."""
        full = self.full
        self._controller.finish(self._rho() if full else None)
        if full:
            self.peak_cache_bytes = max(self.peak_cache_bytes, self.cache_bytes())

    def cache_bytes(self) -> int:
        """Bytes of device memory that the session holds now, each storage counted once."""
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in self.tensors()}
        return sum(storages.values())

    def tensors(self) -> list[Tensor]:
        """Every tensor that is held, for measuring."""
        return [t for stream in self._streams.values() for t in stream.tensors()]

    def close(self) -> None:
        """Drop all tensors. Safe to call more than once."""
        self._streams.clear()

    def _ratio(self) -> Tensor:
        return difference_ratio(self._alpha, self._controller.tau, self.step)

    def _rho(self) -> Tensor | None:
        """`[streams, blocks]` of this step, or None at the first step, where there is nothing to compare with."""
        streams = [s for s in self._streams.values() if s.changes]
        if not streams:
            return None
        changes = torch.stack([torch.stack([s.changes[b] for b in sorted(s.changes)]) for s in streams])
        return ratio(self._shard.together(changes.cpu())).double() * self._ratio()

    def _tokens(self, hidden: Tensor, block: int) -> Tensor:
        key = (hidden.shape[1], block, hidden.device)
        if key not in self._indices:
            tokens = hidden.shape[1]
            indices = sample_indices(tokens * self._shard.count, self.watched_tokens, self._seed + block)
            self._indices[key] = self._shard.own(indices, tokens).to(hidden.device)
        return self._indices[key]
