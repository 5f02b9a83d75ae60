"""What is settled about a run before its first step: its noise schedule, its experts' turns, its coefficients' key."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from workers.engine.loaded import LoadedModel
from workers.jobs.errors import RequestRefused, UnsupportedPipeline
from workers.jobs.job import GenerationRequest
from workers.scalingcache.measured import RunKind
from workers.scalingcache.paper.coefficients import CoefficientKey

# The settings of a flow-matching scheduler that shape its noise levels or its update.
_SCHEDULER_SETTINGS = (
    "flow_shift", "shift", "use_dynamic_shifting", "use_flow_sigmas", "use_karras_sigmas", "use_exponential_sigmas",
    "use_beta_sigmas", "solver_order", "num_train_timesteps",
)  # fmt: skip


@dataclass(frozen=True)
class RunPlan:
    """One run, planned once, for everything that needs to know of it.

    request: what the run is to generate.
    scheduler: the run's own; the pipeline sets its timesteps once more and steps it.
    sigmas: the falling noise levels `[steps]` at which the transformer is called, without the last zero.
    segments: how many consecutive steps each of the family's transformers computes; one number without experts.
    kind: which runs share a covariance with it.
    key: what the paper's coefficients for the run have to be measured on.
    """

    request: GenerationRequest
    scheduler: Any
    sigmas: Tensor
    segments: tuple[int, ...]
    kind: RunKind
    key: CoefficientKey


def plan_run(model: LoadedModel, request: GenerationRequest) -> RunPlan:
    """Plan one run of a request; a second run needs a plan of its own.

    Raises `UnsupportedPipeline` when the scheduler calls the model several times a step, or has no shift to set, and
    `RequestRefused` where it would leave out the first step.
    """
    scheduler = _scheduler(model, request)
    key = _key(model, request, scheduler)
    sigmas = model.family.sigmas(model.pipeline, scheduler, request)
    _check_beginning(scheduler, request)
    segments = tuple(model.family.segments(model.pipeline, scheduler))
    kind = RunKind(key.model, key.fingerprint, key.size_class, key.guidance, key.input_reference)
    return RunPlan(request, scheduler, sigmas, segments, kind, key)


def _scheduler(model: LoadedModel, request: GenerationRequest) -> Any:
    stock = model.pipeline.scheduler
    shift = {} if request.flow_shift is None else {_shift_setting(stock): request.flow_shift}
    scheduler = type(stock).from_config(stock.config, **shift)
    if scheduler.order != 1:
        raise UnsupportedPipeline(
            f"scheduler {type(stock).__name__} calls the transformer {scheduler.order} times a step; only schedulers "
            "of order 1 are supported"
        )
    return scheduler


def _check_beginning(scheduler: Any, request: GenerationRequest) -> None:
    """A scheduler of diffusers begins at the second of two steps whose timesteps are equal, and fails at the last."""
    first, *others = scheduler.timesteps.tolist()
    if others and others[0] == first:
        shift = "the model's own flow_shift" if request.flow_shift is None else f"flow_shift {request.flow_shift:g}"
        raise RequestRefused(
            f"{shift} with steps {request.steps}: the first two steps fall on one timestep, {first:g}, which the "
            f"scheduler {type(scheduler).__name__} cannot run; send a smaller flow_shift, or fewer steps"
        )


def _shift_setting(scheduler: Any) -> str:
    """What the schedulers of diffusers call the flow shift. Raises `UnsupportedPipeline` when there is none to set."""
    names = [name for name in ("flow_shift", "shift") if name in scheduler.config]
    if not names or scheduler.config.get("use_dynamic_shifting"):
        raise UnsupportedPipeline(f"scheduler {type(scheduler).__name__} has no flow_shift that a request can set")
    return names[0]


def _key(model: LoadedModel, request: GenerationRequest, scheduler: Any) -> CoefficientKey:
    settings = {name: scheduler.config[name] for name in _SCHEDULER_SETTINGS if name in scheduler.config}
    if settings.get("use_dynamic_shifting"):
        settings["halfway_sigma"] = _halfway_sigma(model, request, scheduler)
    if (boundary := model.pipeline.config.get("boundary_ratio")) is not None:
        settings["boundary_ratio"] = boundary  # Where one expert takes over from the other.
    return CoefficientKey(
        model=model.entry.name,
        fingerprint=model.fingerprint,
        scheduler={"class": type(scheduler).__name__} | settings,
        steps=request.steps,
        size_class=round(math.log2(request.width * request.height * request.frames)),
        guidance=model.family.guided(request),
        input_reference=request.input_reference is not None,
    )


def _halfway_sigma(model: LoadedModel, request: GenerationRequest, scheduler: Any) -> float:
    """The noise level halfway through a run, which says how far the size shifts the schedule.

    In steps of 0.05, so that sizes with nearly the same schedule share coefficients.
    """
    two_steps = request.model_copy(update={"steps": 2})
    return round(float(model.family.sigmas(model.pipeline, scheduler, two_steps)[1]) * 20) / 20
