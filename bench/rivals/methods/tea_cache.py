"""TeaCache (https://arxiv.org/abs/2411.19108): the residual of all blocks is reused until the input has changed enough.

At each step the relative change of an indicator, rescaled by a polynomial of degree 4, is added up; from a threshold on
the step is full. The first and the last step always are. The indicator is the first block's modulated input, with Wan
the embedding of the timestep, as in the published code. Its polynomials belong to its checkpoints; here one is fitted
to how the last block's output changes on the calibration prompts. One decision a step holds for all streams.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from bench.rivals.inputs import embedded, indicator, watched
from bench.rivals.rival import Case, Knob, Rival, Run, last_block, only_transformer
from workers.engine.generation import run_pipeline
from workers.engine.loaded import LoadedModel
from workers.engine.paper_session import BlocksAttachment
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest

DEGREE = 4
THRESHOLDS = tuple(float(x) for x in np.geomspace(0.02, 3.0, 10).round(4))
NEVER = -1e9  # a polynomial may be negative, so 0 is no threshold that is always reached


def relative_change(now: Tensor, before: Tensor) -> float:
    """|now - before|₁ / |before|₁"""
    return float((now.float() - before.float()).abs().mean() / before.float().abs().mean())


class TeaCacheMethod:
    """A cache method that is also told of the transformer's inputs, by `called`."""

    def __init__(self, transformer: Any, last_block: int, steps: int, threshold: float, rescale: np.poly1d) -> None:
        self._transformer = transformer
        self._last_block = last_block
        self._steps = steps
        self._threshold = threshold
        self._rescale = rescale
        self._step = 0
        self._decided = False
        self._accumulated = 0.0
        self._indicator: Tensor | None = None
        self._tokens: Tensor | None = None
        self._residuals: dict[str, Tensor] = {}
        self.full = True

    def called(self, stream: str, arguments: dict[str, Any]) -> None:
        """Before each call; the first one of a step decides for all of them."""
        self._tokens = embedded(self._transformer, arguments)
        if self._decided:
            return
        now, before = indicator(self._transformer, arguments), self._indicator
        self._indicator, self._decided = now, True
        if before is None or self._step == self._steps - 1:
            self.full = True
        else:
            self._accumulated += float(self._rescale(relative_change(now, before)))
            self.full = self._accumulated >= self._threshold
        if self.full:
            self._accumulated = 0.0

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        if block == self._last_block:
            assert self._tokens is not None
            self._residuals[stream] = hidden - self._tokens

    def predict(self, stream: str) -> Tensor:
        assert self._tokens is not None
        return self._tokens + self._residuals[stream]

    def end_step(self) -> None:
        self._step += 1
        self._decided = False


class Changes:
    """Computes everything; keeps how indicator and last output changed from step to step in the first stream."""

    full = True

    def __init__(self, transformer: Any, last_block: int) -> None:
        self._transformer = transformer
        self._last_block = last_block
        self._seen: tuple[Tensor, Tensor] | None = None
        self._indicator: Tensor | None = None
        self._output: Tensor | None = None
        self.pairs: list[tuple[float, float]] = []

    def called(self, stream: str, arguments: dict[str, Any]) -> None:
        if self._indicator is None:
            self._indicator = indicator(self._transformer, arguments)

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        if block == self._last_block and self._output is None:
            self._output = hidden

    def predict(self, stream: str) -> Tensor:
        raise AssertionError("everything is computed")

    def end_step(self) -> None:
        assert self._indicator is not None and self._output is not None
        now = self._indicator, self._output
        if self._seen is not None:
            changes = [relative_change(a, b) for a, b in zip(now, self._seen, strict=True)]
            self.pairs.append((changes[0], changes[1]))
        self._seen, self._indicator, self._output = now, None, None


class TeaCache(Rival):
    """The threshold is on the accumulated, rescaled change of the indicator."""

    name = "tea-cache"
    title = "TeaCache"
    knob = "threshold"
    scouted = True

    def __init__(self) -> None:
        self._rescale = np.poly1d([1.0, 0.0])

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return NEVER

    def fit(self, model: LoadedModel, cases: Sequence[Case]) -> None:
        transformer = only_transformer(model)
        pairs: list[tuple[float, float]] = []
        for case in cases:
            changes = Changes(transformer, last_block(model))
            with watched(transformer, changes.called):
                plan = plan_run(model, case.request)
                run_pipeline(model, plan, BlocksAttachment(changes), image=case.image)
            pairs += changes.pairs
        x, y = zip(*pairs, strict=True)
        self._rescale = np.poly1d(np.polyfit(x, y, DEGREE))

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        transformer = only_transformer(model)
        method = TeaCacheMethod(transformer, last_block(model), request.steps, float(setting), self._rescale)
        with watched(transformer, method.called):
            yield Run.of(model, request, method)


RIVALS: list[Rival] = [TeaCache()]
