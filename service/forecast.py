"""When jobs will start and end, computed ahead from how things stand. Nothing here asks Redis."""

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workers.jobs.foresight import may_end
from workers.jobs.order import Line, Waiting


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker: when it is free, in Unix seconds, which models' jobs it takes, in turns, and how many jobs of one
    tenant may run then; 0 for any number. least_seconds: what those jobs take at least there that have a deadline, by
    id, where that is known."""

    free_at: float
    models: tuple[str, ...]
    most_running_of_tenant: int = 0
    least_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> object:
        """Where one of a kind finds no job that it may start, no other does."""
        return frozenset(self.models), self.most_running_of_tenant, frozenset(self.least_seconds.items())


@dataclass(frozen=True, slots=True)
class Runs:
    """A job that runs, and when it will end."""

    ends_at: float
    model: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Slot:
    """When a job would start, and end, in Unix seconds."""

    starts_at: float
    ends_at: float


def foretell(
    lines: Mapping[str, Line], seconds: Mapping[str, float], seats: Sequence[Seat], running: Sequence[Runs]
) -> dict[str, Slot]:
    """By id, as long as nothing comes and nothing fails. The lines are used up.

    seconds: how long each job takes; those that are not named are passed over, as are those that would not be started
    because of their deadline, which the worker that finds it so fails.
    """
    free = [(seat.free_at, number, seat.models) for number, seat in enumerate(seats)]
    heapq.heapify(free)
    active = [(run.ends_at, run.model, run.tenant) for run in running]
    heapq.heapify(active)
    busy = Counter((model, tenant) for _, model, tenant in active)
    kinds, nothing_until, failed = [seat.kind for seat in seats], dict[object, float](), set[str]()
    slots: dict[str, Slot] = {}
    while free and any(lines.values()):
        now, number, models = heapq.heappop(free)
        while active and active[0][0] <= now:
            _, *ended = heapq.heappop(active)
            busy[ended[0], ended[1]] -= 1
        again_at = nothing_until.get(kinds[number], now)
        if again_at <= now:
            found, full = _next(lines, models, now, seconds, seats[number], busy, failed)
            if found is not None:
                model, job = found
                slots[job.job_id] = slot = _slot(job, now, seconds)
                busy[model, job.tenant] += 1
                heapq.heappush(active, (slot.ends_at, model, job.tenant))
                heapq.heappush(free, (slot.ends_at, number, (*models[1:], models[0])))
                continue
            # What is late stays so; only who has as many running as it may gets free again, and not before one ends.
            again_at = min((at for at, *whose in active if tuple(whose) in full), default=math.inf)
            nothing_until[kinds[number]] = again_at
        if again_at < math.inf:
            heapq.heappush(free, (again_at, number, models))
    return slots


def _slot(job: Waiting, now: float, seconds: Mapping[str, float]) -> Slot:
    """A run is stopped at its deadline."""
    ends_at = now + seconds[job.job_id]
    return Slot(now, ends_at if job.deadline_at is None else min(ends_at, job.deadline_at))


def _next(
    lines: Mapping[str, Line],
    models: tuple[str, ...],
    now: float,
    seconds: Mapping[str, float],
    seat: Seat,
    busy: Mapping[tuple[str, str], int],
    failed: set[str],
) -> tuple[tuple[str, Waiting] | None, set[tuple[str, str]]]:
    """The job that a worker takes, which asks for the models in this order; and of which models and tenants others
    could start if not as many were running as may. failed: jobs that were found to be in vain."""
    full: set[tuple[str, str]] = set()
    for model in models:

        def may_start(job: Waiting, model: str = model) -> bool:
            if job.job_id not in seconds or job.job_id in failed or _left(job, now) <= 0:
                return False
            if seat.most_running_of_tenant and busy.get((model, job.tenant), 0) >= seat.most_running_of_tenant:
                full.add((model, job.tenant))
                return False
            if not may_end(seat.least_seconds.get(job.job_id), _left(job, now)):
                failed.add(job.job_id)
                return False
            return True

        line = lines.get(model)
        job = line.take(now, may_start) if line else None
        if job is not None:
            return (model, job), full
    return None, full


def _left(job: Waiting, now: float) -> float:
    return math.inf if job.deadline_at is None else job.deadline_at - now


@dataclass(frozen=True, slots=True)
class Rate:
    """When those start that stand behind the first ones, which were looked at one by one: as these follow each other.

    starts: of the first ones, in Unix seconds, in order. free_at: when a worker is free for one that stands behind
    none. seconds: between two starts.
    """

    starts: tuple[float, ...]
    free_at: float
    seconds: float

    def start(self, place: int) -> float:
        """Of a job that so many stand before."""
        if place < len(self.starts):
            return self.starts[place]
        last = self.starts[-1] if self.starts else self.free_at - self.seconds
        return last + (place - len(self.starts) + 1) * self.seconds
