"""The ablation's parts that take our covariance: its schedule with simpler forecasts, its weights without the schedule.

Reuse, the first order and alpha predict the last block's output, as the paper does; the weights the model's output.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from unittest.mock import patch

from torch import nn

from bench.rivals.forecast import Forecast as BlockForecast
from bench.rivals.forecast import Mask, Weights, reuse, taylor
from bench.rivals.intervals import intervals
from bench.rivals.methods.fixed_interval import every
from bench.rivals.methods.ours import counts, covariance_identity, measured
from bench.rivals.methods.paper import alpha_weights, coefficients, coefficients_identity
from bench.rivals.rival import Knob, MethodRival, Rival, Run, last_block
from workers.caching.solver import measured_response, solved_by
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan, plan_run
from workers.jobs.job import GenerationRequest
from workers.models.family import Family
from workers.scalingcache import forecast, priors, schedule, trajectory
from workers.scalingcache.forecast import Forecast
from workers.scalingcache.planning import planned


def scheduled(model: LoadedModel, plan: RunPlan, count: int) -> tuple[int, ...]:
    """The full steps of least expected error, which our method computes where no whole runs have chosen others."""
    known = measured(model, plan)
    return planned(priors.combined(known, plan.sigmas.double().numpy()), count)


@dataclass(frozen=True)
class Scheduled(MethodRival):
    """weights: of the two latest outputs; None are those of the model's calibrated alpha."""

    name: str
    title: str
    weights: Weights | None
    knob = "full steps"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return counts(request)

    def full(self, request: GenerationRequest) -> Knob:
        return request.steps

    def identity(self, model: LoadedModel) -> str:
        return f"{covariance_identity(model)}/{coefficients_identity(model)}"

    def method(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> BlockForecast:
        mask = Mask(scheduled(model, plan_run(model, request), int(setting)))
        weights = self.weights or alpha_weights(coefficients(model, request)[0])
        return BlockForecast(mask, weights, last_block(model), anchors=2)


class _Solver:
    """A forecast with a schedule of its own."""

    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast

    @property
    def decisions(self) -> str:
        return self._forecast.decisions

    def attached(
        self, family: Family, transformers: Sequence[nn.Module], scheduler: Any
    ) -> AbstractContextManager[None]:
        return solved_by(self._forecast, scheduler, transformers)

    def end_step(self) -> None:
        """The solver's call was the end of the step."""


@dataclass(frozen=True)
class Weighted(Rival):
    """before, after: how many known outputs on either side of a gap. knob: also which rule says what is full.

    guarded: whether steps are added where predictions turn out to be further off than expected.
    """

    name: str
    title: str
    knob: Literal["interval", "full steps"]
    before: int
    after: int
    guarded: bool = False

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return intervals(request) if self.knob == "interval" else counts(request)

    def full(self, request: GenerationRequest) -> Knob:
        return 1 if self.knob == "interval" else request.steps

    def identity(self, model: LoadedModel) -> str:
        return covariance_identity(model)

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        plan = plan_run(model, request)
        start = priors.combined(measured(model, plan), plan.sigmas.double().numpy())
        # What ships, with its numbers changed; the schedule is made for as many known outputs.
        weights = patch.multiple(trajectory, BEFORE=self.before, AFTER=self.after)
        guard = patch.object(forecast, "GUARD", forecast.GUARD if self.guarded else math.inf)
        with weights, guard, patch.object(schedule, "BEFORE", self.before):
            steps = self._steps(model, plan, int(setting))
            yield Run(model, plan, _Solver(Forecast(start, measured_response(plan.scheduler, plan.sigmas), steps)))

    def _steps(self, model: LoadedModel, plan: RunPlan, setting: int) -> tuple[int, ...]:
        if self.knob == "interval":
            return tuple(sorted(every(plan.request.steps, setting)))
        return scheduled(model, plan, setting)


RIVALS: list[Rival] = [
    Scheduled("reuse-schedule", "reuse, schedule", reuse),
    Scheduled("first-order-schedule", "first order, schedule", taylor(1)),
    Scheduled("alpha-schedule", "α, schedule", None),
    Weighted("weights-2-fixed", "weights of 2 before, fixed interval", "interval", 2, 0),
    Weighted("weights-4-fixed", "weights of 3 before and 1 after, fixed interval", "interval", 3, 1),
    Weighted("weights-2-schedule", "weights of 2 before, schedule", "full steps", 2, 0),
    Weighted("weights-4-schedule", "weights of 3 before and 1 after, schedule", "full steps", 3, 1),
    Weighted("weights-2-guarded", "weights of 2 before, schedule with guard", "full steps", 2, 0, guarded=True),
]
