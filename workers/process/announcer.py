"""A worker's sign of life, from a thread of its own: no work of any length makes a healthy worker count as dead."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from workers import logs
from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import JobError
from workers.jobs.presence import TAKES_JOBS, Presence, WorkerState
from workers.jobs.versions import Version
from workers.process.metrics import Metrics
from workers.process.shutdown import Shutdown

log = structlog.get_logger()

ANNOUNCE_SECONDS = 5.0


class Announcer:
    """Says every few seconds, and at each change, that the worker lives and what it does."""

    def __init__(
        self,
        presence: Presence,
        metrics: Metrics,
        shutdown: Shutdown,
        worker: str,
        serves: Mapping[str, str],
        interval_seconds: float = ANNOUNCE_SECONDS,
        most_running_of_tenant: int = 0,
        versions: Callable[[], Mapping[str, Version]] = dict,
    ) -> None:
        """serves: the worker's models, with what each is loaded with. most_running_of_tenant: as it claims.
        versions: what they compute with now."""
        self._presence, self._metrics, self._shutdown = presence, metrics, shutdown
        self._worker, self._serves = worker, serves
        self._state: WorkerState = "loading"
        self._problem: JobError | None = None
        self._problems: Mapping[str, JobError] = {}
        self._doing: str | None = None
        self._interval_seconds, self._versions = interval_seconds, versions
        self._most_running = most_running_of_tenant
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and say goodbye."""
        self._ending = True
        self._wake.set()
        self._thread.join()
        with suppress(QueueUnavailable):
            self._presence.leave(self._worker)

    def set_state(self, state: WorkerState, problem: JobError | None = None) -> None:
        """Announce what the worker does now, and what failed. Only an idle or busy one counts as serving its models."""
        if (state, problem) != (self._state, self._problem):
            self._state, self._problem = state, problem
            self._wake.set()

    def set_problems(self, problems: Mapping[str, JobError]) -> None:
        """Announce which of the models cannot be loaded, and why; of these it takes no jobs."""
        if problems != self._problems:
            self._problems = problems
            self._wake.set()

    def set_doing(self, doing: str | None) -> None:
        """Announce what the worker does beside jobs."""
        self._doing = doing
        self._wake.set()

    def _run(self) -> None:
        heard = True
        while not self._ending:
            self._wake.clear()
            try:
                self._announce()
                heard = True
            except Exception as error:  # Whatever it is, the next sign of life is tried all the same.
                if heard:
                    log.warning("not announced", error=str(error), frames=logs.frames_of(error))
                heard = False
            self._wake.wait(self._interval_seconds)

    def _announce(self) -> None:
        state = "draining" if self._shutdown.requested else self._state
        self._metrics.set_state(state)
        problems = self._problems
        models = tuple(name for name in self._serves if name not in problems) if state in TAKES_JOBS else ()
        self._presence.serve(tuple(self._serves))
        more = self._problem, problems, self._doing, self._most_running, self._versions()
        self._presence.announce(self._worker, models, state, self._serves, *more)
