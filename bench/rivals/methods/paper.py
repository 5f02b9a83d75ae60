"""ScalingCache as published: alpha, the rule of Eq. 7-8, and the settings that were calibrated.

The same rule with simpler forecasts shows what alpha is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

import workers.scalingcache.paper
from bench.rivals.forecast import Forecast, Weights, reuse, taylor
from bench.rivals.provenance import digest, sources
from bench.rivals.rival import Knob, MethodRival, Refused, Rival, last_block
from workers.caching.transformer import CacheMethod
from workers.engine.loaded import LoadedModel
from workers.engine.paper_acceleration import fitting_coefficients, resampled
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest, Reason
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.expert_sessions import ExpertSessions
from workers.scalingcache.paper.predictor import difference_ratio, extrapolation

SF = (2, 3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 25, 30)


@dataclass(frozen=True)
class Paper(MethodRival):
    """weights: of the two latest outputs, in place of alpha's."""

    name: str
    title: str
    weights: Weights | None = None
    knob = "sf"
    scouted = True

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return [sf for sf in SF if sf <= request.steps - 2]

    def full(self, request: GenerationRequest) -> Knob:
        return request.steps

    def identity(self, model: LoadedModel) -> str:
        return coefficients_identity(model)

    def method(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> CacheMethod:
        alpha, settings = coefficients(model, request, int(setting))
        rule = ExpertSessions(settings, alpha, plan_run(model, request).segments)
        return rule if self.weights is None else Forecast(rule, self.weights, last_block(model), anchors=2)


def coefficients(model: LoadedModel, request: GenerationRequest, sf: int = 2) -> tuple[Tensor, IntervalSettings]:
    """Alpha `[steps, blocks]` and the calibrated settings for a request. Raises `Refused` when there are none."""
    plan = plan_run(model, request)
    known = fitting_coefficients(model, plan)
    if isinstance(known, Reason):
        raise Refused(f"no coefficients: {known}")
    alpha = known.alpha if known.key.steps == request.steps else resampled(model, known, plan)
    return alpha, IntervalSettings(sf, known.kappa, known.max_skip, known.final_full_steps)


def coefficients_identity(model: LoadedModel) -> str:
    """Of the paper's method and of what was measured for it on the model."""
    known = [(each.alpha.tolist(), each.kappa, each.max_skip, each.final_full_steps) for each in model.coefficients]
    return f"{sources(workers.scalingcache.paper)}/{digest(repr(known).encode())}"


def alpha_weights(alpha: Tensor) -> Weights:
    """ScalingCache's forecast (Eq. 6 and Alg. 1) as weights of the two latest outputs. alpha: `[steps, blocks]`."""
    last = alpha[:, -1].double()

    def weights(full_steps: Sequence[int], step: int) -> list[float]:
        before, latest = full_steps[-2:]
        slope = float(difference_ratio(last, before, latest) * extrapolation(last, latest, step))
        return [-slope, 1 + slope]

    return weights


RIVALS: list[Rival] = [
    Paper("paper", "ScalingCache as published"),
    Paper("reuse-rule", "reuse, paper's rule", reuse),
    Paper("first-order-rule", "first order, paper's rule", taylor(1)),
]
