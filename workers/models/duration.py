"""How long a run would take, by runs that were measured. Nothing here asks Redis, or loads what runs a model."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from workers.jobs.job import GenerationRequest
from workers.jobs.pace import MeasuredRun
from workers.models.entry import Method
from workers.scalingcache.budget import computed, full_steps

Size = tuple[int, int, int]  # width, height, frames

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
    count = computed(count, request.steps)
    return Plan(count, request.steps - count)


class Durations:
    """Of runs of a model, by what was measured of it when this was made."""

    def __init__(self, method: Method, runs: Sequence[MeasuredRun]) -> None:
        self.runs = runs
        self._method: Method = method
        self._sizes: dict[tuple[bool, bool], dict[Size, list[MeasuredRun]]] = {}
        self._full_steps: dict[tuple[int, int, int | None], list[int]] = {}
        for run in runs:
            sizes = self._sizes.setdefault((run.guided, run.true_guided), {})
            sizes.setdefault((run.width, run.height, run.frames), []).append(run)
            self._full_steps.setdefault((run.steps, run.sf, run.asked_full_steps), []).append(run.full_steps)
        self._known: dict[tuple[object, ...], tuple[Plan | None, Pace | None]] = {}
        self._with: dict[str, Durations] = {}

    def of(self, request: GenerationRequest) -> tuple[Plan | None, Pace | None]:
        """The steps that a run is expected to have, and how long they take; each None where it is not known.

        The steps are as earlier runs with the same settings had them in the end; before there are any, as planned.
        The times are by runs that ran the transformer as often a step: those of the request's size, or without any
        those of the size that is nearest in pixels x frames. What belongs to steps and frames is scaled by that; the
        prompt's encoding is not.
        """
        kind = _size(request), _passes(request), request.steps, request.sf, request.full_steps
        if kind not in self._known:
            sizes = self._sizes.get(_passes(request), {})
            self._known[kind] = self._expected_plan(request), _pace(_size(request), sizes, median)
        return self._known[kind]

    def seconds(self, request: GenerationRequest) -> float | None:
        """How long a worker would have the job; None where nothing of the kind was measured."""
        plan, pace = self.of(request)
        return None if plan is None or pace is None else pace.seconds(plan)

    def least_seconds(self, request: GenerationRequest, software: str) -> float | None:
        """What a run takes at least with this software, as in `Version`: by the fastest of its size, or of the largest
        smaller one, as larger ones take longer still. None where too few of the kind were measured, and where the
        method decides as it goes. What runs took with other software, or on another device, tells nothing of it."""
        if software not in self._with:
            own = [run for run in self.runs if software and run.software == software]
            self._with[software] = Durations(self._method, own)
        sizes, volume = self._with[software]._sizes.get(_passes(request), {}), math.prod(_size(request))
        known = {size: runs for size, runs in sizes.items() if math.prod(size) <= volume and len(runs) >= ENOUGH_RUNS}
        pace, plan = _pace(_size(request), known, min), plan_of(request, self._method)
        return None if pace is None or plan is None else pace.seconds(plan)

    @property
    def usual_seconds(self) -> float | None:
        """Of any run of the model; None where nothing was measured."""
        return median(run.seconds for run in self.runs) if self.runs else None

    def _expected_plan(self, request: GenerationRequest) -> Plan | None:
        counts = self._full_steps.get((request.steps, request.sf, request.full_steps))
        if not counts:
            return plan_of(request, self._method)
        full = round(median(counts))
        return Plan(full, request.steps - full)


def _pace(
    size: Size, sizes: Mapping[Size, Sequence[MeasuredRun]], typical: Callable[[Iterable[float]], float]
) -> Pace | None:
    chosen = _nearest(size, sizes)
    if not chosen:
        return None
    by = math.prod(size) / chosen[0].volume
    return Pace(
        full=by * typical(run.full_step_seconds for run in chosen),
        predicted=_predicted(size, sizes, typical),
        before=typical(run.encode_seconds for run in chosen),
        after=by * typical(_rest(run) for run in chosen),
        runs=len(chosen),
        same_size=size in sizes,
    )


def _predicted(
    size: Size, sizes: Mapping[Size, Sequence[MeasuredRun]], typical: Callable[[Iterable[float]], float]
) -> float:
    """By the nearest size of which a run had such a step; 0 where none had."""
    cached = {other: runs for other, runs in sizes.items() if any(run.predicted_step_seconds for run in runs)}
    chosen = _nearest(size, cached)
    if not chosen:
        return 0.0
    return math.prod(size) / chosen[0].volume * typical(each for run in chosen if (each := run.predicted_step_seconds))


def _nearest(size: Size, sizes: Mapping[Size, Sequence[MeasuredRun]]) -> Sequence[MeasuredRun]:
    """Those of the size, or of the size that is nearest in pixels x frames; empty where there is none."""
    if size in sizes or not sizes:
        return sizes.get(size, ())
    volume = math.prod(size)
    nearest = min((math.prod(other) for other in sizes), key=lambda other: abs(math.log(other / volume)))
    return [run for other, runs in sizes.items() if math.prod(other) == nearest for run in runs]


def _passes(request: GenerationRequest) -> tuple[bool, bool]:
    return request.guidance > 1, request.true_cfg_scale > 1


def _size(request: GenerationRequest) -> Size:
    return request.width, request.height, request.frames


def _rest(run: MeasuredRun) -> float:
    steps = run.full_steps * run.full_step_seconds + run.cached_steps * (run.predicted_step_seconds or 0.0)
    return max(0.0, run.seconds - run.encode_seconds - steps)
