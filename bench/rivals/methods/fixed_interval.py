"""A fixed interval, with the simplest forecasts: the first three steps, every k-th after them and the last are full."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.rivals.forecast import Forecast, Mask, Weights, reuse, taylor
from bench.rivals.intervals import FIRST, intervals
from bench.rivals.methods.paper import alpha_weights, coefficients, coefficients_identity
from bench.rivals.rival import Knob, MethodRival, Rival, last_block
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest


def every(steps: int, interval: int) -> set[int]:
    """The full steps of a run."""
    return {*range(min(FIRST, steps)), *range(FIRST - 1, steps, interval), steps - 1}


@dataclass(frozen=True)
class FixedInterval(MethodRival):
    """weights: of the two latest outputs; None are those of the model's calibrated alpha."""

    name: str
    title: str
    weights: Weights | None
    knob = "interval"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return intervals(request)

    def full(self, request: GenerationRequest) -> Knob:
        return 1

    def identity(self, model: LoadedModel) -> str:
        return "" if self.weights else coefficients_identity(model)

    def method(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Forecast:
        rule = Mask(every(request.steps, int(setting)))
        weights = self.weights or alpha_weights(coefficients(model, request)[0])
        return Forecast(rule, weights, last_block(model), anchors=2)


RIVALS: list[Rival] = [
    FixedInterval("reuse-fixed", "reuse, fixed interval", reuse),
    FixedInterval("first-order-fixed", "first order, fixed interval", taylor(1)),
    FixedInterval("alpha-fixed", "α, fixed interval", None),
]
