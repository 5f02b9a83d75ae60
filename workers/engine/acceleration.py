"""How a planned run is accelerated: with measured coefficients, with resampled ones, or not at all, and why."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan, plan_run
from workers.jobs.job import Reason, ReasonCode
from workers.scalingcache.coefficients import Coefficients
from workers.scalingcache.controller import IntervalSettings
from workers.scalingcache.expert_sessions import ExpertSessions
from workers.scalingcache.resampling import resample
from workers.scalingcache.segments import slices
from workers.scalingcache.step_range import step_range


@dataclass(frozen=True)
class Acceleration:
    """What a run has of the cache.

    session: of this run alone, to be closed after it; None where the run is the plain pipeline.
    reason: why there is no session, or what its coefficients stand on; None where they were measured for such a run.
    """

    session: ExpertSessions | None
    reason: Reason | None


def accelerate(model: LoadedModel, plan: RunPlan) -> Acceleration:
    """The acceleration that a model can give a run."""
    request = plan.request
    if not request.wants_acceleration:
        return Acceleration(None, Reason(code=ReasonCode.NOT_REQUESTED))
    if not request.can_be_accelerated:
        detail = f"sf {request.sf} needs at least {request.sf + 2} steps, this run has {request.steps}"
        return Acceleration(None, Reason(code=ReasonCode.TOO_FEW_STEPS, detail=detail))
    fitting = fitting_coefficients(model, plan)
    if isinstance(fitting, Reason):
        return _uncalibrated(model, plan, fitting) if request.allow_uncalibrated else Acceleration(None, fitting)
    settings = IntervalSettings(request.sf, fitting.kappa, fitting.max_skip, fitting.final_full_steps)
    if fitting.key.steps == request.steps:
        return Acceleration(ExpertSessions(settings, fitting.alpha, plan.segments), None)
    reason = Reason(code=ReasonCode.RESAMPLED, detail=f"measured with {fitting.key.steps} steps")
    return Acceleration(ExpertSessions(settings, resampled(model, fitting, plan), plan.segments), reason)


def _uncalibrated(model: LoadedModel, plan: RunPlan, unfit: Reason) -> Acceleration:
    ones = torch.ones(plan.request.steps, model.blocks, dtype=torch.float64)
    reason = Reason(code=ReasonCode.UNCALIBRATED, detail=f"alpha is 1 throughout ({unfit})")
    return Acceleration(ExpertSessions(IntervalSettings(plan.request.sf), ones, plan.segments), reason)


def resampled(model: LoadedModel, coefficients: Coefficients, plan: RunPlan) -> Tensor:
    """A model's coefficients, `[steps of the run, blocks]`, on the noise levels of a run with other steps."""
    measured = plan_run(model, plan.request.model_copy(update={"steps": coefficients.key.steps}))
    experts = zip(
        _by_expert(coefficients.alpha, measured),
        _by_expert(measured.sigmas, measured),
        _by_expert(plan.sigmas, plan),
        strict=True,
    )
    return torch.cat([resample(alpha, sigmas, wanted) for alpha, sigmas, wanted in experts])


def _by_expert(values: Tensor, plan: RunPlan) -> list[Tensor]:
    """Each expert's part of what there is one of for every step."""
    return [values[part] for part in slices(plan.segments, plan.request.steps)]


def fitting_coefficients(model: LoadedModel, plan: RunPlan) -> Coefficients | Reason:
    """Those of the model's coefficients that were measured on what a run is, or why none was.

    Where several differ from it in the number of steps alone, those with the nearest number.
    """
    if not model.coefficients:
        return Reason(code=ReasonCode.NOT_CALIBRATED, detail=f"model {model.entry.name} has no coefficient file")
    key = plan.key
    differences = [replace(each.key, steps=key.steps).difference(key) for each in model.coefficients]
    alike = [each for each, different in zip(model.coefficients, differences, strict=True) if different is None]
    if not alike:
        return Reason(code=ReasonCode.OTHER_SETTINGS, detail="; ".join(dict.fromkeys(filter(None, differences))))
    nearest = min(alike, key=lambda each: abs(math.log(each.key.steps / key.steps)))
    reachable = step_range(nearest.key.steps)
    if key.steps not in reachable:
        detail = f"{nearest.key.difference(key)}; coefficients are resampled to {reachable[0]} to {reachable[-1]} steps"
        return Reason(code=ReasonCode.OTHER_SETTINGS, detail=detail)
    return nearest
