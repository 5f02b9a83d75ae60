"""The order in which a model's jobs are claimed, as `claim.lua` decides it, computed ahead. Nothing here asks Redis."""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.jobs.job import Priority
from workers.jobs.keys import LANES, RETRY_LANE

#: After so long in a lane a job goes on in the one above it.
AGE_SECONDS = 600.0
_COST_OF_A_TURN = 1e6
_AGED_AT_A_TIME = 100


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A job in a lane: its turn, and since when it is there, in Unix seconds. cost: as in `cost.py`."""

    turn: float
    job_id: str
    tenant: str = field(compare=False)
    cost: int = field(compare=False)
    since: float = field(compare=False)
    deadline_at: float | None = field(compare=False, default=None)


@dataclass(slots=True)
class Lane:
    """Jobs by their turn. served: the turn that was served last, None in a lane that was empty. turns: that of each
    tenant's next job. count: of the jobs that came since it was empty. behind: how many stand behind those that
    are in `jobs`."""

    jobs: list[Waiting] = field(default_factory=list)
    served: float | None = None
    turns: dict[str, float] = field(default_factory=dict)
    count: int = 0
    behind: int = 0

    def enter(self, job: Waiting, now: float) -> Waiting:
        """The job has its turn after what its tenant has there, but never before the turn that the lane has come to."""
        if self.served is None:
            self.served = self.jobs[-1].turn + 1 if self.jobs else 0.0
        turn = max(self.served, self.turns.get(job.tenant, 0.0))
        self.turns[job.tenant] = turn + max(1, job.cost) / _COST_OF_A_TURN
        self.count += 1
        entered = Waiting(turn + self.count / 1e9, job.job_id, job.tenant, job.cost, now, job.deadline_at)
        insort(self.jobs, entered)
        return entered

    def leave(self, job: Waiting) -> None:
        """The job waits there no longer."""
        self.jobs.remove(job)
        if not self.jobs:
            self.served, self.count = None, 0
            self.turns.clear()


@dataclass(slots=True)
class Line:
    """The lanes of a model."""

    lanes: dict[str, Lane] = field(default_factory=lambda: {lane: Lane() for lane in LANES})

    def __len__(self) -> int:
        return sum(len(lane.jobs) for lane in self.lanes.values())

    @property
    def tenants(self) -> dict[str, str]:
        """Whose each job is."""
        return {job.job_id: job.tenant for lane in self.lanes.values() for job in lane.jobs}

    @property
    def with_deadline(self) -> list[str]:
        """Jobs that have one."""
        return [job.job_id for lane in self.lanes.values() for job in lane.jobs if job.deadline_at is not None]

    def add(self, job_id: str, tenant: str, cost: int, priority: Priority, now: float) -> None:
        """A job comes; one that stands behind jobs that are not here is not here either."""
        above = [self.lanes[name] for name in LANES[: LANES.index(priority)]]
        if any(lane.behind for lane in above):
            return
        lane = self.lanes[priority]
        job = lane.enter(Waiting(0.0, job_id, tenant, cost, now), now)
        if lane.behind and job == lane.jobs[-1]:
            lane.leave(job)
            lane.behind += 1

    def take(self, now: float, may_start: Callable[[Waiting], bool]) -> Waiting | None:
        """The job that a worker gets now, which then is gone from here; None where none may start."""
        self._age(Priority.NORMAL, Priority.HIGH, now)
        self._age(Priority.LOW, Priority.NORMAL, now)
        for name, lane in self.lanes.items():
            job = next((job for job in lane.jobs if may_start(job)), None)
            if job is not None:
                lane.leave(job)
                if name != RETRY_LANE and lane.served is not None:
                    lane.served = max(lane.served, job.turn)
                return job
        return None

    def _age(self, lane: str, above: str, now: float) -> None:
        long = [job for job in self.lanes[lane].jobs if job.since <= now - AGE_SECONDS]
        for job in sorted(long, key=lambda job: (job.since, job.job_id))[:_AGED_AT_A_TIME]:
            self.lanes[lane].leave(job)
            self.lanes[above].enter(job, now)
