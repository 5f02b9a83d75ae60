"""The paper's method on a pipeline: the last block's output is predicted, as long as all blocks change little."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from workers.caching.transformer import CacheMethod, attached
from workers.engine.plan import RunPlan
from workers.jobs.job import Account
from workers.models.family import Family
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.expert_sessions import ExpertSessions
from workers.scalingcache.paper.shard import Shard


class BlocksAttachment:
    """A cache method around the blocks of a run's transformers."""

    def __init__(self, method: CacheMethod) -> None:
        self._method = method
        self.decisions = ""

    @contextmanager
    def attached(self, family: Family, transformers: Sequence[nn.Module], scheduler: Any) -> Iterator[None]:
        """Hooks around the transformers and their blocks."""
        with ExitStack() as hooks:
            for transformer in transformers:
                hooks.enter_context(attached(transformer, family.layout(), self._method))
            yield

    def end_step(self) -> None:
        """All streams of the step have run."""
        self.decisions += "F" if self._method.full else "P"
        self._method.end_step()


class PaperSession(BlocksAttachment):
    """One run by the paper's rule."""

    by_stream = True

    def __init__(self, rule: ExpertSessions) -> None:
        super().__init__(rule)
        self._rule = rule

    @property
    def full(self) -> bool:
        """Whether the step that is due is computed in full."""
        return self._rule.full

    @property
    def recipe(self) -> dict[str, Any]:
        """What it was made of."""
        return {"method": "paper", "settings": asdict(self._rule.settings), "alpha": self._rule.alpha.tolist()}

    @classmethod
    def made_of(cls, plan: RunPlan, recipe: Mapping[str, Any], shard: Shard) -> "PaperSession":
        """The same session for the same run in another process, of which `shard` says what its part is."""
        alpha = torch.tensor(recipe["alpha"], dtype=torch.float64)
        return cls(ExpertSessions(IntervalSettings(**recipe["settings"]), alpha, plan.segments, shard=shard))

    @property
    def peak_cache_bytes(self) -> int:
        """The most device memory held at once."""
        return self._rule.peak_cache_bytes

    def account(self) -> Account:
        """The accumulated error and the threshold before each step."""
        return Account(method="paper", epsilon=_finite(self._rule.epsilons), delta=_finite(self._rule.deltas))

    def close(self) -> None:
        """Drop all tensors."""
        self._rule.close()


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
