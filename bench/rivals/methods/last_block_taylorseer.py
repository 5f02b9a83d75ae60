"""TaylorSeer (https://arxiv.org/abs/2503.06923) on the last block's output alone, as its Lite variant.

Its own schedule: the first three steps are full, then every k-th. The published code takes order 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.rivals.forecast import Forecast, Mask, taylor
from bench.rivals.intervals import FIRST, intervals
from bench.rivals.rival import Knob, MethodRival, Rival, last_block
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest


@dataclass(frozen=True)
class LastBlockTaylorSeer(MethodRival):
    """order: of the expansion."""

    name: str
    title: str
    order: int
    knob = "interval"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return intervals(request)

    def full(self, request: GenerationRequest) -> Knob:
        return 1

    def method(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Forecast:
        mask = {*range(FIRST), *range(FIRST - 1, request.steps, int(setting))}
        return Forecast(Mask(mask), taylor(self.order), last_block(model), anchors=self.order + 1)


RIVALS: list[Rival] = [
    LastBlockTaylorSeer("taylorseer-1", "TaylorSeer, last block, order 1", 1),
    LastBlockTaylorSeer("taylorseer-2", "TaylorSeer, last block, order 2", 2),
]
