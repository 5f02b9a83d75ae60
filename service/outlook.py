"""When jobs will have their results: how things stand, read at most once a second for all who ask."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from threading import Lock
from typing import Literal

from service.estimation import Progress, seconds_left
from service.forecast import Rate, Runs, Seat, Slot, foretell
from service.seats import seats_of
from workers.jobs.connection import Connection
from workers.jobs.cost import cost_of
from workers.jobs.job import GenerationRequest, Job, JobState, Priority, model_of
from workers.jobs.lines import LOOKED_AT, Lines, Standing
from workers.jobs.pace import MeasuredRuns
from workers.jobs.presence import TAKES_JOBS, Presence, WorkerInfo
from workers.models.catalogue import Catalogue
from workers.models.duration import Durations, Pace, Plan

#: How old what is told may be, and how old where it does not name the job that is asked for.
FRESH_SECONDS, FRESH_SECONDS_OF_A_NEW_JOB = 1.0, 0.1
#: How old it may be while another call reads it anew.
OLD_SECONDS = 5.0
#: From so many foretold starts on their distance tells the rate.
ENOUGH_STARTS = 20
_NEW = ""  # the id of a job that is not there

Unknown = Literal["not_measured", "no_worker"]


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds until a job has its result, or why that is not known."""

    seconds: float | None = None
    reason: Unknown | None = None


NOT_MEASURED, NO_WORKER = Eta(reason="not_measured"), Eta(reason="no_worker")


@dataclass(frozen=True, slots=True)
class Board:
    """What is foretold of a model's jobs. read_at: when the queue was read, by the clock here. known_at: when this was
    foretold. now: the first by Redis's clock, in Unix seconds. first_starts: when each tenant's next job starts, of
    those that have one among the first."""

    read_at: float
    known_at: float
    now: float
    durations: Durations
    slots: Mapping[str, Slot]
    rate: Rate | None
    first_starts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A job that is not there yet."""

    request: GenerationRequest
    priority: Priority
    tenant: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of a newcomer: steps and times of its run, seconds until its start, and until its result."""

    plan: Plan | None
    pace: Pace | None
    queued_seconds: float | None
    eta: Eta

    @property
    def run_seconds(self) -> float | None:
        """How long a worker would have it."""
        return None if self.plan is None or self.pace is None else self.pace.seconds(self.plan)


class Outlook:
    """Every method raises `QueueUnavailable`. Safe to share between threads."""

    def __init__(
        self,
        connection: Connection,
        presence: Presence,
        catalogue: Catalogue,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._presence, self._catalogue, self._clock = presence, catalogue, clock
        self._lines, self._runs = Lines(connection), MeasuredRuns(connection)
        self._boards: dict[str, Board] = {}
        self._measured: dict[str, tuple[float, Durations]] = {}
        self._reading = Lock()

    def of(self, job: Job, place: int | None = None) -> Eta | None:
        """Until the job's result; None once it has ended. place: how many start before it, while it waits."""
        if job.state.terminal:
            return None
        model = model_of(job.id) or ""
        if job.state is JobState.RUNNING:
            board = self._board(model, FRESH_SECONDS)
            left = _left(board.durations, job.request, Progress.of(job), self._now(board))
            return NOT_MEASURED if left is None else Eta(left)
        board, job_id = self._board(model, FRESH_SECONDS), job.result_of or job.id
        if job_id not in board.slots and (place or 0) < LOOKED_AT and job.created_at > board.now:
            board = self._board(model, FRESH_SECONDS_OF_A_NEW_JOB)
        return _waiting(board, job.request, job_id, place or 0, self._now(board))

    def next_start(self, model: str, tenant: str | None) -> float | None:
        """Seconds until a job of the model starts, of the tenant where one is named; None where that is not known."""
        board = self._board(model, FRESH_SECONDS)
        starts = board.first_starts
        at = min(starts.values(), default=None) if tenant is None else starts.get(tenant)
        return None if at is None else max(0.0, at - self._now(board))

    def at_step(self, request: GenerationRequest, progress: Progress, now: float) -> float | None:
        """Seconds until the result of a job that ran at that time, where that is known. Asks nothing of Redis: by what
        was measured when it was asked last."""
        board = self._boards.get(request.model)
        durations = board.durations if board else Durations(self._method(request.model), [])
        return _left(durations, request, progress, now)

    def expect(self, newcomer: Newcomer, place: int, live: Sequence[WorkerInfo]) -> Expectation:
        """What would become of a job that came now. live: the workers."""
        model = newcomer.request.model
        board = self._read(model, live, newcomer)[model]
        plan, pace = board.durations.of(newcomer.request)
        eta = _waiting(board, newcomer.request, _NEW, place, board.now)
        starts_at = _start(board, _NEW, place)
        return Expectation(plan, pace, None if starts_at is None else max(0.0, starts_at - board.now), eta)

    def _now(self, board: Board) -> float:
        return board.now + self._clock() - board.read_at

    def _board(self, model: str, fresh_seconds: float) -> Board:
        """Who comes while another reads takes what there is, or waits for that read where this is too old: the longer
        one takes, the less it helps that all read at once."""
        board = self._known(model, fresh_seconds)
        if board is not None:
            return board
        alone = self._reading.acquire(timeout=0.0 if self._known(model, OLD_SECONDS) else OLD_SECONDS)
        try:
            board = self._known(model, fresh_seconds if alone else OLD_SECONDS + FRESH_SECONDS)
            if board is not None:
                return board
            boards = self._read(model, self._presence.workers())
            self._boards |= boards
            return boards[model]
        finally:
            if alone:
                self._reading.release()

    def _known(self, model: str, old_seconds: float) -> Board | None:
        board = self._boards.get(model)
        return board if board is not None and self._clock() - board.known_at < old_seconds else None

    def _durations(self, model: str) -> Durations:
        """From the last second; where nothing was measured by then, which is soon read, from now."""
        known = self._measured.get(model)
        if known is None or not known[1].runs or self._clock() - known[0] >= FRESH_SECONDS:
            durations = Durations(self._method(model), self._runs.of(model))
            self._measured[model] = known = self._clock(), durations
        return known[1]

    def _read(self, model: str, live: Sequence[WorkerInfo], newcomer: Newcomer | None = None) -> dict[str, Board]:
        """Of the model, and of those that have workers with it."""
        workers = [worker for worker in live if worker.state in TAKES_JOBS and worker.models]
        models, read_at = _together(model, workers), self._clock()
        standings = {each: self._lines.of(each, newcomer.tenant if newcomer else "") for each in models}
        durations = {each: self._durations(each) for each in models}
        now = min(standing.now for standing in standings.values())  # as the first was read, and so at `read_at`
        seconds = _run_seconds(standings, durations)
        if newcomer is not None:
            cost, took = cost_of(newcomer.request), _seconds_of(newcomer.request, durations[model])
            standings[model].line.add(_NEW, newcomer.tenant, cost, newcomer.priority, now)
            seconds |= {} if took is None else {_NEW: took}
        ends, running = _running(standings, durations, now)
        together = [worker for worker in workers if not set(worker.models).isdisjoint(models)]
        seats = seats_of(together, standings, durations, ends, now)
        ids = {each: [*standing.requests] for each, standing in standings.items()}
        tenants = {each: standing.line.tenants for each, standing in standings.items()}
        slots = foretell({each: standing.line for each, standing in standings.items()}, seconds, seats, running)
        return {
            each: Board(
                read_at,
                self._clock(),
                now,
                durations[each],
                {job_id: slots[job_id] for job_id in (*ids[each], _NEW) if job_id in slots},
                _rate([seat for seat in seats if each in seat.models], slots, seconds, ids[each], durations[each]),
                _first_starts(slots, tenants[each]),
            )
            for each in models
        }

    def _method(self, model: str) -> Literal["covariance", "paper"]:
        entry = self._catalogue.entries.get(model)
        return entry.method if entry else "covariance"


def _together(model: str, workers: Sequence[WorkerInfo]) -> list[str]:
    """The models whose jobs may take a worker from this one's, and itself."""
    found = {model}
    while more := {each for worker in workers if found & set(worker.models) for each in worker.models} - found:
        found |= more
    return sorted(found)


def _seconds_of(request: GenerationRequest, durations: Durations) -> float | None:
    """As long as any run of the model takes, where nothing of its kind was measured: others wait for it."""
    seconds = durations.seconds(request)
    return durations.usual_seconds if seconds is None else seconds


def _run_seconds(standings: Mapping[str, Standing], durations: Mapping[str, Durations]) -> dict[str, float]:
    found = {}
    for model, standing in standings.items():
        for job_id, request in standing.requests.items():
            seconds = _seconds_of(request, durations[model])
            if seconds is not None:
                found[job_id] = seconds
    return found


def _left(durations: Durations, request: GenerationRequest, progress: Progress, now: float) -> float | None:
    plan, pace = durations.of(request)
    if pace is None and progress.full_step_seconds:  # The first run of its kind: its steps take nearly all of it.
        pace = Pace(progress.full_step_seconds, 0.0, 0.0, 0.0, 0, same_size=True)
    return None if plan is None or pace is None else seconds_left(plan, pace, progress, now)


def _running(
    standings: Mapping[str, Standing], durations: Mapping[str, Durations], now: float
) -> tuple[dict[str, float], list[Runs]]:
    """When each worker's job ends, by the worker's name, and the jobs."""
    ends, running = {}, []
    for model, standing in standings.items():
        for job in standing.running:
            left = _left(durations[model], job.request, Progress.of(job), now)
            if left is None:
                whole = durations[model].usual_seconds or 0.0
                left = max(0.0, (job.started_at or now) + whole - now)
            ends[job.worker or ""] = now + left
            running.append(Runs(now + left, model, job.tenant))
    return ends, running


def _rate(
    seats: Sequence[Seat],
    slots: Mapping[str, Slot],
    seconds: Mapping[str, float],
    ids: Sequence[str],
    durations: Durations,
) -> Rate | None:
    """None without a worker, and where nothing was measured."""
    known = [seconds[job_id] for job_id in ids if job_id in seconds]
    usual = fmean(known) if known else durations.usual_seconds
    if not seats or usual is None:
        return None
    starts = sorted(slots[job_id].starts_at for job_id in ids if job_id in slots)
    enough = len(starts) >= ENOUGH_STARTS
    apart = (starts[-1] - starts[0]) / (len(starts) - 1) if enough else usual / len(seats)
    return Rate(tuple(starts), min(seat.free_at for seat in seats), apart)


def _first_starts(slots: Mapping[str, Slot], tenants: Mapping[str, str]) -> dict[str, float]:
    """By tenant. tenants: by job."""
    first: dict[str, float] = {}
    for job_id, tenant in tenants.items():
        if job_id in slots:
            first[tenant] = min(slots[job_id].starts_at, first.get(tenant, math.inf))
    return first


def _start(board: Board, job_id: str, place: int) -> float | None:
    slot = board.slots.get(job_id)
    if slot is not None:
        return slot.starts_at
    return None if board.rate is None else board.rate.start(place)


def _waiting(board: Board, request: GenerationRequest, job_id: str, place: int, now: float) -> Eta:
    seconds, starts_at = board.durations.seconds(request), _start(board, job_id, place)
    if seconds is None:
        return NOT_MEASURED
    return NO_WORKER if starts_at is None else Eta(max(0.0, starts_at + seconds - now))
