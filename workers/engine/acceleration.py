"""Which session a request gets: with measured coefficients, with resampled ones, or none, and why."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest
from workers.scalingcache.coefficients import Coefficients
from workers.scalingcache.controller import IntervalSettings
from workers.scalingcache.reach import step_range
from workers.scalingcache.relay import Relay
from workers.scalingcache.resampling import resample
from workers.scalingcache.segments import slices


def accelerate(model: LoadedModel, request: GenerationRequest) -> tuple[Relay | None, str | None]:
    """The session for a request, or None; and why there is none, or on what else than measured coefficients it stands.

    A reason starts with a fixed word, and a colon or its end follows.
    """
    if request.sf >= request.steps:
        return None, "not_requested"
    if request.steps < request.sf + 2:
        return (
            None,
            f"too_few_steps: sf {request.sf} needs at least {request.sf + 2} steps, this run has {request.steps}",
        )
    known, unfit = fitting(model, request)
    if known is None:
        if not request.allow_uncalibrated:
            return None, unfit
        blocks = len(model.family.layout().blocks(model.pipeline.transformer))
        ones = torch.ones(request.steps, blocks, dtype=torch.float64)
        relay = Relay(IntervalSettings(request.sf), ones, model.segments(request))
        return relay, f"uncalibrated: alpha is 1 throughout ({unfit})"
    settings = IntervalSettings(request.sf, known.kappa, known.max_skip, known.final_full_steps)
    segments = model.segments(request)
    if known.key.steps == request.steps:
        return Relay(settings, known.alpha, segments), None
    alpha = resampled(model, known, request)
    return Relay(settings, alpha, segments), f"resampled: measured with {known.key.steps} steps"


def resampled(model: LoadedModel, known: Coefficients, request: GenerationRequest) -> Tensor:
    """The coefficients of a model, `[steps of the request, blocks]`, on the noise levels of the request's run."""

    def sigmas(steps: int) -> list[Tensor]:
        """Of each expert."""
        run = request.model_copy(update={"steps": steps})
        levels = model.family.sigmas(model.scheduler(request), run)
        return [levels[part] for part in slices(model.segments(run), steps)]

    measured = sigmas(known.key.steps)
    alphas = torch.split(known.alpha, [len(levels) for levels in measured])
    experts = zip(alphas, measured, sigmas(request.steps), strict=True)
    return torch.cat([resample(alpha, levels, wanted) for alpha, levels, wanted in experts])


def fitting(model: LoadedModel, request: GenerationRequest) -> tuple[Coefficients | None, str | None]:
    """Those of the model's coefficients that were measured on what a request asks for, or None and why none was.

    Where several differ from it in the number of steps alone, those with the nearest number.
    """
    if not model.coefficients:
        return None, f"not_calibrated: model {model.entry.name} has no coefficient file"
    key = model.key(request)
    differences = [replace(each.key, steps=request.steps).difference(key) for each in model.coefficients]
    alike = [each for each, different in zip(model.coefficients, differences, strict=True) if different is None]
    if not alike:
        return None, f"other_settings: {'; '.join(dict.fromkeys(filter(None, differences)))}"
    nearest = min(alike, key=lambda each: abs(math.log(each.key.steps / request.steps)))
    reach = step_range(nearest.key.steps)
    if request.steps not in reach:
        difference = nearest.key.difference(key)
        return None, f"other_settings: {difference}; coefficients are resampled to {reach[0]} to {reach[-1]} steps"
    return nearest, None
