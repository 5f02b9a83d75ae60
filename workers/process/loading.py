"""The process that holds the models: started, tried again when it or one of its models fails, and ended."""

import time
from collections.abc import Callable, Sequence

import structlog

from workers.jobs.errors import WorkerCrashed
from workers.jobs.job import JobError
from workers.models.prompt_reader import PromptReader
from workers.process.announcer import Announcer
from workers.process.child import Child, ChildDied
from workers.process.events import Load, LoadFailed, Ready, Warmed
from workers.process.metrics import Metrics
from workers.process.shutdown import Shutdown

log = structlog.get_logger()

#: Longest single wait for the process; so long may a signal go unnoticed.
IDLE_SECONDS = 1.0
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 1.0, 60.0
#: A model that fails gets at most this part of the time of those that are served.
RELOAD_SHARE = 0.1
#: A model that takes longer than this to be tried again is taken for one that hangs.
RELOAD_SECONDS = 1800.0


class Loading:
    """Owns the process. `models` are those that it has loaded, `fingerprints` are of their weights, `readers` count
    the tokens of their prompts, `versions` is what they compute with. `warmed` is what their warm-ups have shown, for
    whoever keeps it."""

    def __init__(self, start: Callable[[], Child], announcer: Announcer, metrics: Metrics, shutdown: Shutdown) -> None:
        """start: a process that loads all of the worker's models."""
        self._start, self._announcer, self._metrics, self._shutdown = start, announcer, metrics, shutdown
        self.child: Child | None = None
        self.models: tuple[str, ...] = ()
        self.fingerprints: dict[str, str] = {}
        self.readers: dict[str, Sequence[PromptReader]] = {}
        self.versions: dict[str, str] = {}
        self.warmed: list[Warmed] = []
        self._failed: dict[str, JobError] = {}
        self._failures = 0
        self._try_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether there is a process with at least one model."""
        return bool(self.models)

    def make_ready(self) -> bool:
        """One step towards loaded models: start the process, or wait a little for it. A failure is tried again."""
        if self.child is None:
            if (wait := self._try_at - time.monotonic()) > 0:
                self._shutdown.sleep(min(wait, IDLE_SECONDS))
                return False
            if not self._failures:  # One that failed stays so while it tries again, or it would look well.
                self._announcer.set_state("loading")
            self.child = self._start()
        try:
            event = self.child.receive(IDLE_SECONDS)
        except ChildDied as died:
            self.failed(WorkerCrashed.code, f"the process died: {died}")
            return False
        match event:
            case Ready():
                self._failures = 0
                self._take(event)
                self._announcer.set_state("idle")
            case LoadFailed(code, message, models):
                self._metrics.load_failures((), models)
                self.failed(code, message)
        return self.ready

    def try_again(self) -> None:
        """Load what failed once more, if it is time for that; called while no job runs.

        Raises `ChildDied`. Jobs wait meanwhile, so a failure that takes long is tried seldom.
        """
        if not self._failed or time.monotonic() < self._try_at or self.child is None:
            return
        self._announcer.set_state("busy")
        start = time.monotonic()
        self.child.send(Load(tuple(self._failed)))
        while not self._shutdown.requested:
            if isinstance(event := self.child.receive(IDLE_SECONDS), Ready):
                self._take(event)
                self._announcer.set_state("idle")
                return
            if time.monotonic() - start > RELOAD_SECONDS:
                self.failed(
                    WorkerCrashed.code, f"{', '.join(self._failed)} took more than {RELOAD_SECONDS:g} s to load"
                )
                return

    def failed(self, code: str, cause: str) -> None:
        """The process is of no use any more: end it, say so, and try again after a while."""
        self.drop()
        self._announcer.set_problems({})
        self._announcer.set_state("failed", JobError(code=code, message=cause))
        delay = self._back_off(0.0)
        log.error("models not loaded", code=code, cause=cause, retry_in_seconds=delay)

    def drop(self) -> None:
        """End the process."""
        if self.child is not None:
            self._metrics.process_ended(self.child.exit_code)
            self.child.close()
        self.child, self.models, self._failed, self.versions, self.warmed = None, (), {}, {}, []

    def _take(self, ready: Ready) -> None:
        loads = dict(zip(ready.models, ready.seconds, strict=True))
        self.fingerprints |= dict(zip(ready.models, ready.fingerprints, strict=True))
        self.readers = {**self.readers, **ready.readers}  # a new one: another thread goes through it
        self.versions = {**self.versions, **ready.versions}
        self.warmed += ready.warmed.values()
        self.models = (*self.models, *ready.models)
        self._failed = dict(ready.failed)
        if loads:
            log.info("models loaded", seconds={model: round(seconds, 2) for model, seconds in loads.items()})
        self._metrics.loaded(loads)
        self._metrics.load_failures(self.models, self._failed)
        self._announcer.set_problems(self._failed)
        if self._failed:
            delay = self._back_off(ready.failing_seconds)
            for model, problem in self._failed.items():
                log.error(
                    "models not loaded",
                    models=[model],
                    code=problem.code,
                    cause=problem.message,
                    retry_in_seconds=delay,
                )
        else:
            self._failures = 0

    def _back_off(self, took: float) -> float:
        """How many seconds to wait before the next try, after one that took so many."""
        delay = max(min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**self._failures), took / RELOAD_SHARE)
        self._failures += 1
        self._try_at = time.monotonic() + delay
        return delay
