"""The process that holds the models, and the supervisor's handle on it. What crosses the pipe is in `events.py`."""

import gc
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from workers import logs
from workers.configuration import LogFormat
from workers.jobs.errors import (
    AttemptFailed,
    GenerationFailed,
    GroupFailed,
    InvalidRequest,
    JobCancelled,
    ModelLoadFailed,
    RequestRefused,
    ScalingCacheError,
)
from workers.jobs.job import JobError
from workers.jobs.s3_location import PATIENT, S3Location
from workers.jobs.storage import open_store
from workers.media.provenance import Embedded
from workers.models.catalogue import Catalogue
from workers.parallel.loss import Loss
from workers.process.events import (
    Again,
    Command,
    Event,
    Failed,
    Load,
    LoadFailed,
    Observed,
    Ready,
    Run,
    Stop,
    Stopped,
)
from workers.process.runs_jobs import RunsJobs

log = structlog.get_logger()

#: How long a process whose pipe was closed gets to end, in seconds.
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What the process gets when it starts."""

    catalogue: Catalogue
    artifacts: Path
    models: tuple[str, ...]
    torch_threads: int | None
    log_format: LogFormat = "json"
    embedded: Embedded = "settings"
    prompt_cache_bytes: int = 0
    s3: S3Location | None = None
    previews: bool = False


class ChildDied(Exception):
    """The process ended, whatever the reason. Never leaves the supervisor."""


def runner(settings: ChildSettings) -> RunsJobs:
    """The real thing. Imports torch, which is why it is called in the child only."""
    import torch

    from workers.process.runner import Runner

    logs.quiet_libraries()
    if settings.torch_threads is not None:
        torch.set_num_threads(settings.torch_threads)
    store, embedded = open_store(settings.artifacts, settings.s3, PATIENT), settings.embedded
    return Runner(settings.catalogue, store, embedded, settings.prompt_cache_bytes, previews=settings.previews)


class Child:
    """The supervisor's handle: starts the process, talks to it, ends it."""

    def __init__(self, settings: ChildSettings, make_runner: Callable[[ChildSettings], RunsJobs] = runner) -> None:
        # Spawned, not forked: CUDA does not survive a fork, nor do locks that threads of the supervisor hold.
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # Not a daemon: those get a SIGTERM at the end, which this one ignores.
        self._process = context.Process(target=_main, args=(theirs, settings, make_runner), name="model")
        self._process.start()
        self._killed = False
        theirs.close()  # Held by the process alone, so that its end closes the pipe.

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.is_alive()

    def send(self, command: Command) -> None:
        """Raises `ChildDied`."""
        try:
            self._pipe.send(command)
        except OSError as error:
            raise self._died() from error

    def receive(self, timeout_seconds: float) -> Event | None:
        """The next event, or None when none came in time. Raises `ChildDied` once all it sent has been received."""
        try:
            if not self._pipe.poll(max(0.0, timeout_seconds)):
                return None
            event: Event = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        return event

    @property
    def exit_code(self) -> int | None:
        """What it ended with by itself, negative for a signal; None while it runs, and where `kill` has ended it."""
        return None if self._killed else self._process.exitcode

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self._killed = self._process.is_alive()
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Let it end, or end it; it is gone when this returns."""
        self._pipe.close()
        self._process.join(CLOSE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _died(self) -> ChildDied:
        self._process.join(CLOSE_SECONDS)
        return ChildDied(f"exit code {self._process.exitcode}")


class _Inbox:
    """Reads the pipe in a thread of its own: a `Stop` is seen, and the supervisor's death, while a job runs."""

    def __init__(self, pipe: Connection) -> None:
        self.commands: queue.SimpleQueue[Run | Again | Observed | Load] = queue.SimpleQueue()
        self._pipe = pipe
        self._stops: dict[str, bool] = {}  # Of what has come and has not ended: a rerun, and the job that ends it.
        threading.Thread(target=self._read, name="pipe", daemon=True).start()

    def stopped(self, id: str) -> bool:
        """Whether this job, or rerun, is to be given up. A `Stop` that comes too late must not end the next one."""
        return self._stops.get(id, False)

    def ended(self, id: str) -> None:
        """To be called before the supervisor is told, who may send a job of the same name again."""
        self._stops.pop(id, None)

    def _read(self) -> None:
        while True:
            try:
                command: Command = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # The supervisor is gone or wants no more; nobody would see what is still computed.
            match command:
                case Stop(id):
                    if id in self._stops:
                        self._stops[id] = True
                case Observed() | Load():
                    self.commands.put(command)
                case Run() | Again():
                    self._stops[_id(command)] = False
                    self.commands.put(command)


def _main(pipe: Connection, settings: ChildSettings, make_runner: Callable[[ChildSettings], RunsJobs]) -> None:
    """The process: load the models, then run one job after the other until the pipe closes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, signal.SIG_IGN
        )  # Sent to the whole group; the supervisor decides what becomes of the job.
    logs.configure(settings.log_format)
    inbox = _Inbox(pipe)
    jobs = _begin(pipe, settings, make_runner)
    while jobs is not None:
        match inbox.commands.get():
            case Observed() as observed:
                jobs.observe(observed)
            case Load(models):
                _send(pipe, _load(jobs, models))
            case Run() | Again() as command:
                ending = _attempt(jobs, command, lambda event: _send(pipe, event), inbox.stopped)
                inbox.ended(_id(command))
                _send(pipe, ending)


def _begin(
    pipe: Connection, settings: ChildSettings, make_runner: Callable[[ChildSettings], RunsJobs]
) -> RunsJobs | None:
    """What runs jobs, with at least one model; else None, and the supervisor is told why."""
    try:
        jobs = make_runner(settings)
        ready = _load(jobs, settings.models)
    except Exception as error:
        problem = _problem(settings.models, error)
        _send(pipe, LoadFailed(problem.code, problem.message, settings.models))
        return None
    if not ready.models:
        first, *_ = ready.failed.values()
        message = "; ".join(each.message for each in ready.failed.values())
        _send(pipe, LoadFailed(first.code, message, tuple(ready.failed)))
        return None
    _send(pipe, ready)
    return jobs


def _load(jobs: RunsJobs, models: Sequence[str]) -> Ready:
    """Load one model after the other. One that fails does not keep the others from being served."""
    loaded: dict[str, tuple[float, str]] = {}
    failed: dict[str, JobError] = {}
    failing_seconds = 0.0
    for model in models:
        start = time.perf_counter()
        try:
            [fingerprint] = jobs.load([model])
        except Exception as error:
            failed[model] = _problem([model], error)
            failing_seconds += time.perf_counter() - start
        else:
            loaded[model] = (time.perf_counter() - start, fingerprint)
        if model in failed:
            gc.collect()  # What of it was read already; the modules of a pipeline refer to each other.
    seconds, fingerprints = zip(*loaded.values(), strict=True) if loaded else ((), ())
    readers = {model: jobs.readers(model) for model in loaded}
    versions = {model: jobs.version(model) for model in loaded}
    warmed = {model: shown for model in loaded if (shown := jobs.warmed(model)) is not None}
    return Ready(tuple(loaded), seconds, fingerprints, failed, failing_seconds, readers, versions, warmed)


def _problem(models: Sequence[str], error: Exception) -> JobError:
    log.error("models could not be loaded", models=models, frames=logs.frames_of(error))
    ours = error if isinstance(error, ScalingCacheError) else ModelLoadFailed(f"{type(error).__name__}: {error}")
    return JobError(code=ours.code, message=str(ours))


def _attempt(
    jobs: RunsJobs, command: Run | Again, emit: Callable[[Event], None], stopped: Callable[[str], bool]
) -> Event:
    id = _id(command)
    try:
        if isinstance(command, Again):
            return jobs.run_again(command, emit, lambda: stopped(id))
        return jobs.run(command, emit, lambda: stopped(id))
    except JobCancelled:
        return Stopped(id)
    except GroupFailed as error:
        log.error("the group failed", job=command.key.job_id, cause=str(error))
        os._exit(Loss.PARTED if error.parted else Loss.ENDED)  # As where the pulse finds it: one place counts them.
    except Exception as error:
        failure, what = _failure(error), "rerun failed" if isinstance(command, Again) else "job failed"
        log.error(what, job=command.key.job_id, code=failure.code, frames=logs.frames_of(error))
        return Failed(id, failure.code, str(failure), failure.max_attempts, failure.poisons_process)


def _id(command: Run | Again) -> str:
    """What its events are named after."""
    return command.id if isinstance(command, Again) else command.key.job_id


def _failure(error: Exception) -> AttemptFailed:
    """How the attempt ended, whatever was raised; a foreign error's text may tell of the inside."""
    if isinstance(error, AttemptFailed):
        return error
    if isinstance(error, InvalidRequest):
        return RequestRefused(str(error))
    return GenerationFailed(f"the worker raised {type(error).__name__}")


def _send(pipe: Connection, event: Event) -> None:
    try:
        pipe.send(event)
    except OSError:
        os._exit(0)  # As in `_Inbox`.
