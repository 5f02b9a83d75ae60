"""How long a run would take, by runs that were measured. Nothing here asks Redis, or loads what runs a model."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from workers.jobs.job import GenerationRequest
from workers.jobs.pace import MeasuredRun
from workers.models.entry import Method
from workers.scalingcache.budget import full_steps, worthwhile

#: So many runs tell how long one takes at least: the first may have compiled, or waited for its weights.
ENOUGH_RUNS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How many steps would be computed in full, and how many predicted."""

    full: int
    cached: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, as medians over earlier runs. before: until the first step. after: from the last step to the end, and
    all that is no step. runs: over how many. same_size: whether they made results of the request's size; else the times
    are those of the nearest other size, by pixels and frames."""

    full: float
    predicted: float
    before: float
    after: float
    runs: int
    same_size: bool

    def seconds(self, plan: Plan) -> float:
        """How long a worker would have the job."""
        return self.before + plan.full * self.full + plan.cached * self.predicted + self.after


def plan_of(request: GenerationRequest, method: Method) -> Plan | None:
    """The steps of a run, as planned; one whose predictions turn out bad computes a few more. None where the method
    decides as it goes."""
    if not request.wants_acceleration:
        return Plan(request.steps, 0)
    if method == "paper":
        return None
    count = request.full_steps or full_steps(request.sf, request.steps)
    count = count if worthwhile(count, request.steps) else request.steps
    return Plan(count, request.steps - count)


def expected_plan(request: GenerationRequest, method: Method, runs: Sequence[MeasuredRun]) -> Plan | None:
    """The steps as earlier runs with the same settings had them in the end, before there are any as planned. None where
    the method decides as it goes and none of these settings was measured."""
    asked = request.steps, request.sf, request.full_steps
    counts = [run.full_steps for run in runs if (run.steps, run.sf, run.asked_full_steps) == asked]
    if not counts:
        return plan_of(request, method)
    full = round(median(counts))
    return Plan(full, request.steps - full)


def pace_of(
    request: GenerationRequest, runs: Sequence[MeasuredRun], typical: Callable[[Iterable[float]], float] = median
) -> Pace | None:
    """By runs that ran the transformer as often a step: those of the request's size, or without any those of the size
    that is nearest in pixels x frames. What belongs to steps and frames is scaled by that; the prompt's encoding is
    not. None without such a run."""
    passes = [run for run in runs if (run.guided, run.true_guided) == _passes(request)]
    alike = [run for run in passes if (run.width, run.height, run.frames) == _size(request)]
    chosen = alike or _nearest(passes, math.prod(_size(request)))
    if not chosen:
        return None
    by = 1.0 if alike else math.prod(_size(request)) / chosen[0].volume
    predicted = [run.predicted_step_seconds for run in chosen if run.predicted_step_seconds]
    return Pace(
        full=by * typical(run.full_step_seconds for run in chosen),
        predicted=by * typical(predicted) if predicted else 0.0,
        before=typical(run.encode_seconds for run in chosen),
        after=by * typical(_rest(run) for run in chosen),
        runs=len(chosen),
        same_size=bool(alike),
    )


class Durations:
    """Of runs of a model, by what was measured of it when this was made."""

    def __init__(self, method: Method, runs: Sequence[MeasuredRun]) -> None:
        self.runs = runs
        self._method: Method = method
        self._known: dict[tuple[object, ...], tuple[Plan | None, Pace | None]] = {}

    def of(self, request: GenerationRequest) -> tuple[Plan | None, Pace | None]:
        """The steps that a run is expected to have, and how long they take; each None where it is not known."""
        kind = _size(request), _passes(request), request.steps, request.sf, request.full_steps
        if kind not in self._known:
            self._known[kind] = expected_plan(request, self._method, self.runs), pace_of(request, self.runs)
        return self._known[kind]

    def seconds(self, request: GenerationRequest) -> float | None:
        """How long a worker would have the job; None where nothing of the kind was measured."""
        plan, pace = self.of(request)
        return None if plan is None or pace is None else pace.seconds(plan)

    @property
    def usual_seconds(self) -> float | None:
        """Of any run of the model; None where nothing was measured."""
        return median(run.seconds for run in self.runs) if self.runs else None


def least_seconds(request: GenerationRequest, method: Method, runs: Sequence[MeasuredRun]) -> float | None:
    """What a run takes at least: by the fastest of its size, or of the largest smaller one, as larger ones take longer
    still. None where too few of the kind were measured, and where the method decides as it goes.

    runs: with what this one would be computed with; others tell nothing of it.
    """
    volume, counts = math.prod(_size(request)), Counter(run.kind for run in runs)
    known = [run for run in runs if run.volume <= volume and counts[run.kind] >= ENOUGH_RUNS]
    pace, plan = pace_of(request, known, min), plan_of(request, method)
    return None if pace is None or plan is None else pace.seconds(plan)


def _passes(request: GenerationRequest) -> tuple[bool, bool]:
    return request.guidance > 1, request.true_cfg_scale > 1


def _size(request: GenerationRequest) -> tuple[int, int, int]:
    return request.width, request.height, request.frames


def _nearest(runs: Sequence[MeasuredRun], volume: int) -> list[MeasuredRun]:
    nearest = min((run.volume for run in runs), key=lambda other: abs(math.log(other / volume)), default=0)
    return [run for run in runs if run.volume == nearest]


def _rest(run: MeasuredRun) -> float:
    steps = run.full_steps * run.full_step_seconds + run.cached_steps * (run.predicted_step_seconds or 0.0)
    return max(0.0, run.seconds - run.encode_seconds - steps)
