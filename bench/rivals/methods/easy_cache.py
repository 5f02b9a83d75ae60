"""EasyCache (https://arxiv.org/abs/2507.02860): the transformer's output less its input is reused, per stream.

At a full step k, the output's change over the input's since the full step before, is measured. After it each step adds
k · |input's change| / |output| to an error; from a threshold on the step is full. The first steps (10 with Wan, 5 with
HunyuanVideo, as published; 5 with FLUX, which was not) and the last one always are. The first stream decides for all.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from bench.rivals.family import Altered
from bench.rivals.inputs import watched
from bench.rivals.rival import Knob, Rival, Run, only_transformer
from workers.caching.transformer import BlockLayout
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest

THRESHOLDS = tuple(float(x) for x in np.geomspace(0.005, 2.0, 10).round(4))
FIRST = {"WanTransformer3DModel": 10}
FIRST_ELSEWHERE = 5


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).abs().mean())


class EasyCacheMethod:
    """A cache method for a transformer that is taken as one block; `called` is told of its inputs."""

    def __init__(self, first: int, steps: int, threshold: float) -> None:
        self._first = first
        self._steps = steps
        self._threshold = threshold
        self._step = 0
        self._leading: str | None = None  # the first stream of every step
        self._error = 0.0
        self._rate: float | None = None
        self._input: Tensor | None = None
        self._input_before: Tensor | None = None
        self._full_input: Tensor | None = None
        self._full_output: Tensor | None = None
        self._differences: dict[str, Tensor] = {}
        self.full = True

    def called(self, stream: str, arguments: dict[str, Any]) -> None:
        """Before each call; the first one of a step decides for all of them."""
        self._input = arguments["hidden_states"]
        self._leading = self._leading or stream
        if stream == self._leading:
            self.full = self._must_compute(self._input)
            self._error = 0.0 if self.full else self._error
            self._input_before = self._input

    def _must_compute(self, now: Tensor) -> bool:
        if self._step < self._first or self._step == self._steps - 1 or self._rate is None:
            return True
        assert self._input_before is not None and self._full_output is not None
        size = float(self._full_output.float().abs().mean())
        self._error += self._rate * _distance(now, self._input_before) / size
        return self._error >= self._threshold

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        if not self.full:
            return  # The output of a prediction is the transformer's output, too.
        assert self._input is not None
        # A picture to start from may lie beside the latents, which come first.
        latents = self._input[:, : hidden.shape[1]]
        self._differences[stream] = hidden - latents
        if stream != self._leading:
            return
        if self._full_input is not None and self._full_output is not None:
            moved = _distance(self._input, self._full_input)
            self._rate = _distance(hidden, self._full_output) / moved
        self._full_input, self._full_output = self._input, hidden

    def predict(self, stream: str) -> Tensor:
        assert self._input is not None
        difference = self._differences[stream]
        return self._input[:, : difference.shape[1]] + difference

    def end_step(self) -> None:
        self._step += 1


def whole() -> BlockLayout:
    """A transformer as one block, whose output needs no head."""

    def head(transformer: nn.Module, output: Tensor, return_dict: bool = True, **_unused: Any) -> Any:
        from diffusers.models.modeling_outputs import Transformer2DModelOutput

        return Transformer2DModelOutput(sample=output) if return_dict else (output,)

    return BlockLayout(blocks=lambda transformer: [transformer], hidden=lambda output: output[0], head=head)


class EasyCache(Rival):
    """The threshold is on the accumulated error."""

    name = "easy-cache"
    title = "EasyCache"
    knob = "threshold"
    scouted = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return THRESHOLDS

    def full(self, request: GenerationRequest) -> Knob:
        return 0.0

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        transformer = only_transformer(model)
        first = FIRST.get(type(transformer).__name__, FIRST_ELSEWHERE)
        method = EasyCacheMethod(first, request.steps, float(setting))
        with watched(transformer, method.called):
            family: Any = Altered(model.family, layout=whole)
            yield Run.of(replace(model, family=family), request, method)


RIVALS: list[Rival] = [EasyCache()]
