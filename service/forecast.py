"""When jobs will start and end, computed ahead from how things stand. Nothing here asks Redis."""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.jobs.order import Line, Waiting


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker: when it is free, in Unix seconds, which models' jobs it takes, in turns, and how many jobs of one
    tenant may run then; 0 for any number."""

    free_at: float
    models: tuple[str, ...]
    most_running_of_tenant: int = 0


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

    seconds: how long each job takes; those that are not named are passed over, as are those that would be late.
    """
    free = [(seat.free_at, number, seat.models) for number, seat in enumerate(seats)]
    heapq.heapify(free)
    active = [(run.ends_at, run.model, run.tenant) for run in running]
    heapq.heapify(active)
    busy = Counter((model, tenant) for _, model, tenant in active)
    slots: dict[str, Slot] = {}
    while free and any(lines.values()):
        now, number, models = heapq.heappop(free)
        while active and active[0][0] <= now:
            _, *ended = heapq.heappop(active)
            busy[ended[0], ended[1]] -= 1
        found = _next(lines, models, now, seconds, seats[number].most_running_of_tenant, busy)
        if found is not None:
            model, job = found
            ends_at = now + seconds[job.job_id]
            slots[job.job_id] = Slot(now, ends_at)
            busy[model, job.tenant] += 1
            heapq.heappush(active, (ends_at, model, job.tenant))
            heapq.heappush(free, (ends_at, number, (*models[1:], models[0])))
        elif active:  # Some may wait for jobs of their tenant to end.
            heapq.heappush(free, (active[0][0], number, models))
    return slots


def _next(
    lines: Mapping[str, Line],
    models: tuple[str, ...],
    now: float,
    seconds: Mapping[str, float],
    most: int,
    busy: Mapping[tuple[str, str], int],
) -> tuple[str, Waiting] | None:
    """The job that a worker takes, which asks for the models in this order."""
    for model in models:

        def may_start(job: Waiting, model: str = model) -> bool:
            ends_at = now + seconds[job.job_id] if job.job_id in seconds else None
            late = ends_at is None or (job.deadline_at is not None and job.deadline_at < ends_at)
            return not late and (most == 0 or busy.get((model, job.tenant), 0) < most)

        line = lines.get(model)
        job = line.take(now, may_start) if line else None
        if job is not None:
            return model, job
    return None


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
