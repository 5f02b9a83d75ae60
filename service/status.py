"""The whole system on one screen: workers, queues, what runs and how far it is, what failed last."""

import time
from collections.abc import Callable, Sequence

from pydantic import BaseModel
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workers import logs
from workers.jobs.connection import Connection
from workers.jobs.inspection import Inspection
from workers.jobs.job import Job
from workers.jobs.presence import Presence
from workers.jobs.usage import TenantLoad, UsageRecords

FAILURES = 5
_COLOURS = {"idle": "green", "busy": "blue", "loading": "yellow", "draining": "magenta", "failed": "bold red"}


class WorkerStatus(BaseModel):
    """models: those that it takes jobs of. serves: those that it is there for, and what each is loaded with.

    problem: why it takes no jobs. problems: why it takes none of some models. doing: what it does without one.
    """

    name: str
    state: str
    models: list[str]
    serves: dict[str, str]
    heartbeat_age_seconds: float
    job: str | None
    doing: str | None
    problem: str | None
    problems: dict[str, str] = {}


class QueueStatus(BaseModel):
    """workers: how many take the model's jobs. oldest_seconds: how long the first in line has waited; 0 when none."""

    model: str
    workers: int
    queued: int
    running: int
    oldest_seconds: float


class JobStatus(BaseModel):
    """code, message: why it failed; never the prompt. seconds: since its start while it runs, since its end after."""

    id: str
    state: str
    worker: str | None
    stage: str | None
    step: int
    steps: int
    sf: int
    attempts: int
    seconds: float
    code: str | None = None
    message: str | None = None


class SystemStatus(BaseModel):
    """persisting: whether Redis writes to its disk; without that a restart would lose accepted jobs."""

    persisting: bool
    workers: list[WorkerStatus]
    queues: list[QueueStatus]
    running: list[JobStatus]
    failures: list[JobStatus]
    accounts: list[TenantLoad]


def read(connection: Connection, models: Sequence[str], clock: Callable[[], float] = time.time) -> SystemStatus:
    """How things stand. Raises `QueueUnavailable`."""
    inspection = Inspection(connection)
    now, live = clock(), Presence(connection).workers()
    running = [job for model in models for job in inspection.running(model)]
    failed = [job for model in models for job in inspection.last_failures(model, FAILURES)]
    failed.sort(key=lambda job: job.completed_at or 0.0, reverse=True)
    jobs = {job.worker: job.id for job in running}
    queues = []
    for model in models:
        depth = inspection.depth(model)
        takers = sum(worker.takes(model) for worker in live)
        queues.append(
            QueueStatus(
                model=model,
                workers=takers,
                queued=depth.queued,
                running=depth.running,
                oldest_seconds=depth.oldest_seconds,
            )
        )
    return SystemStatus(
        accounts=UsageRecords(connection).loads(models),
        persisting=inspection.persisting(),
        workers=[
            WorkerStatus(
                name=worker.name,
                state=worker.state,
                models=list(worker.models),
                serves=dict(worker.serves),
                heartbeat_age_seconds=round(worker.beat_age_seconds, 1),
                job=jobs.get(worker.name),
                doing=worker.doing,
                problem=worker.problem and f"{worker.problem.code}: {worker.problem.message}",
                problems={model: f"{each.code}: {each.message}" for model, each in worker.problems.items()},
            )
            for worker in live
        ],
        queues=queues,
        running=[_job(job, now - (job.started_at or now)) for job in running],
        failures=[_job(job, now - (job.completed_at or now)) for job in failed[:FAILURES]],
    )


def render(status: SystemStatus) -> RenderableType:
    """The status as tables for a terminal."""
    parts: list[RenderableType] = []
    if not status.persisting:
        parts.append(Text("Redis does not persist: a restart would lose accepted jobs", style="bold red"))
    parts += [_queues(status), _workers(status), _running(status), _failures(status), _accounts(status)]
    return Group(*parts)


def _job(job: Job, seconds: float) -> JobStatus:
    return JobStatus(
        id=job.id,
        state=job.state.value,
        worker=job.worker,
        stage=job.stage,
        step=job.step,
        steps=job.request.steps,
        sf=job.request.sf,
        attempts=job.attempts,
        seconds=round(max(0.0, seconds), 1),
        code=job.error and job.error.code,
        message=job.error and job.error.message,
    )


def _plain(text: str, style: str = "") -> Text:
    """What others have named, without the markup and the escape sequences that would change the screen."""
    lines = (str(logs.plain(line)) for line in text.split("\n"))
    return Text("\n".join(lines), style=style)


def _table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=column != columns[-1])
    return table


def _queues(status: SystemStatus) -> Table:
    table = _table(
        "Queues",
        "model",
        "workers",
        "queued",
        "running",
        "oldest waits",
        numbers=("workers", "queued", "running", "oldest waits"),
    )
    for queue in status.queues:
        workers = Text(str(queue.workers), style="green" if queue.workers else "bold red")
        waits = duration(queue.oldest_seconds) if queue.queued else "-"
        table.add_row(_plain(queue.model), workers, str(queue.queued), str(queue.running), waits)
    return table


def _workers(status: SystemStatus) -> Table:
    table = _table("Workers", "name", "state", "heard", "models", numbers=("heard",))
    for worker in status.workers:
        state = Text(worker.state, style=_COLOURS.get(worker.state, ""))
        heard = f"{worker.heartbeat_age_seconds:.0f} s ago"
        serves = "\n".join(f"{model} ({switches})" for model, switches in worker.serves.items())
        table.add_row(_plain(worker.name), state, heard, _plain(serves or ", ".join(worker.models) or "-"))
        if worker.doing is not None:
            table.add_row("", "", "", _plain(worker.doing, "dim"))
        if worker.problem is not None:
            table.add_row("", "", "", _plain(worker.problem, "red"))
        for model, problem in worker.problems.items():
            table.add_row("", "", "", _plain(f"{model} failed: {problem}", "red"))
    return table if status.workers else _empty(table)


def _accounts(status: SystemStatus) -> Table:
    numbers = ("queued", "running", "completed", "failed", "steps", "cached", "device time")
    table = _table("Accounts, in all", "account", *numbers, numbers=numbers)
    for load in status.accounts:
        used = load.used
        counts = load.queued, load.running, used.completed, used.failed, used.full_steps, used.cached_steps
        table.add_row(_plain(load.tenant), *map(str, counts), duration(used.device_seconds))
    return table if status.accounts else _empty(table)


def _running(status: SystemStatus) -> Group:
    entries = []
    for job in status.running:
        details = Table.grid(padding=(0, 2))
        details.add_column(width=13)
        bar = ProgressBar(total=job.steps, completed=job.step, width=20)
        step, attempt = f"{job.step}/{job.steps}", f"attempt {job.attempts}"
        details.add_row(job.stage or "-", bar, step, f"sf {job.sf}", duration(job.seconds), attempt)
        entries.append(_entry(f"{job.id} on {job.worker}", details))
    return _list("Running", entries)


def _failures(status: SystemStatus) -> Group:
    entries = []
    for job in status.failures:
        when = f"{job.state} {duration(job.seconds)} ago, attempt {job.attempts}: "
        message = f": {job.message}" if job.message else ""
        entries.append(_entry(job.id, Text.assemble(when, _plain(job.code or "?", "red"), _plain(message))))
    return _list("Last failures", entries)


def _entry(head: str, details: RenderableType) -> Group:
    """An id takes most of a line, and cut off or broken it could not be copied: the rest goes below."""
    return Group(_plain(f" {head}"), Padding(details, (0, 0, 0, 3)))


def _list(title: str, entries: Sequence[RenderableType]) -> Group:
    return Group(Text(f"\n{title}\n", style="bold"), *(entries or [Text(" none", style="dim")]))


def _empty(table: Table) -> Table:
    table.add_row(Text("none", style="dim"))
    return table


def duration(seconds: float) -> str:
    """A duration as people say it: 4 s, 2 min 5 s, 3 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
