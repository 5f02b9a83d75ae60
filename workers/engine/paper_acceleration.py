"""The paper's method for a planned run: with measured coefficients, with resampled ones, or not at all, and why."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from workers.engine.loaded import LoadedModel
from workers.engine.paper_session import PaperSession
from workers.engine.plan import RunPlan, plan_run
from workers.jobs.job import Reason, ReasonCode
from workers.scalingcache.paper.coefficients import Coefficients
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.expert_sessions import ExpertSessions
from workers.scalingcache.paper.resampling import resample
from workers.scalingcache.paper.segments import slices
from workers.scalingcache.paper.step_range import step_range


def session(model: LoadedModel, plan: RunPlan) -> tuple[PaperSession | None, Reason | None]:
    """The session of a run, or none, and why; beside a session the reason says what its coefficients stand on."""
    request = plan.request
    if not request.has_room_for_predictions:
        detail = f"sf {request.sf} needs at least {request.sf + 2} steps, this run has {request.steps}"
        return None, Reason(code=ReasonCode.TOO_FEW_STEPS, detail=detail)
    fitting = fitting_coefficients(model, plan)
    if isinstance(fitting, Reason):
        return _uncalibrated(model, plan, fitting) if request.allow_uncalibrated else (None, fitting)
    settings = IntervalSettings(request.sf, fitting.kappa, fitting.max_skip, fitting.final_full_steps)
    if fitting.key.steps == request.steps:
        return _session(model, plan, settings, fitting.alpha), None
    reason = Reason(code=ReasonCode.RESAMPLED, detail=f"measured with {fitting.key.steps} steps")
    return _session(model, plan, settings, resampled(model, fitting, plan)), reason


def _uncalibrated(model: LoadedModel, plan: RunPlan, unfit: Reason) -> tuple[PaperSession, Reason]:
    ones = torch.ones(plan.request.steps, model.blocks, dtype=torch.float64)
    reason = Reason(code=ReasonCode.UNCALIBRATED, detail=f"alpha is 1 throughout ({unfit})")
    return _session(model, plan, IntervalSettings(plan.request.sf), ones), reason


def _session(model: LoadedModel, plan: RunPlan, settings: IntervalSettings, alpha: Tensor) -> PaperSession:
    return PaperSession(ExpertSessions(settings, alpha, plan.segments, shard=model.shard(plan.request)))


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
