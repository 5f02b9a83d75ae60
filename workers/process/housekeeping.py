"""What a worker does beside its jobs: says that it lives, takes jobs from the dead, deletes files that nobody needs."""

import random
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

import structlog

from workers import logs
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import QueueUnavailable, WorkerCrashed
from workers.jobs.job import JobError, JobState
from workers.jobs.leases import Leases
from workers.jobs.presence import TAKES_JOBS, Presence, WorkerState
from workers.process.metrics import Metrics, Outcome
from workers.process.shutdown import Shutdown

log = structlog.get_logger()

ANNOUNCE_SECONDS = 5.0
#: Between two searches for files that belong to no job; each reads the whole artifact folder.
SWEEP_SECONDS = 600.0
_OUTCOMES: dict[JobState, Outcome] = {
    JobState.QUEUED: "retried",
    JobState.CANCELLED: "cancelled",
    JobState.DEAD: "dead",
}


class Housekeeping:
    """A thread of its own, so that none of it waits for a job, and no job for it."""

    def __init__(
        self,
        leases: Leases,
        presence: Presence,
        store: ArtifactStore,
        metrics: Metrics,
        shutdown: Shutdown,
        worker: str,
        serves: Mapping[str, str],
    ) -> None:
        """serves: the worker's models, with what each is loaded with."""
        self._leases, self._presence, self._store = leases, presence, store
        self._metrics, self._shutdown = metrics, shutdown
        self._worker, self._serves, self._models = worker, serves, tuple(serves)
        self._state: WorkerState = "loading"
        self._problem: JobError | None = None
        self._wake = threading.Event()
        self._ending = False
        self._reap_at = self._sweep_at = 0.0
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

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

    def _run(self) -> None:
        reachable = True
        while not self._ending:
            self._wake.clear()
            try:
                self._round()
                reachable = True
            except QueueUnavailable as error:
                if reachable:
                    log.warning("housekeeping waits for Redis", error=str(error))
                reachable = False
            except Exception as error:  # A full disk, a folder without permission: no reason to stop reaping.
                log.error("housekeeping failed", frames=logs.frames_of(error))
            self._wake.wait(min(ANNOUNCE_SECONDS, self._leases.lease_seconds / 4))

    def _round(self) -> None:
        state = "draining" if self._shutdown.requested else self._state
        self._metrics.set_state(state)
        models = self._models if state in TAKES_JOBS else ()
        self._presence.announce(self._worker, models, state, self._serves, self._problem)
        now = time.monotonic()
        if now >= self._reap_at:
            # Jitter, or all workers that started together would ask at the same moment forever.
            self._reap_at = now + self._leases.lease_seconds / 4 * random.uniform(0.75, 1.25)
            for model in self._models:
                self.reap(model)
                self.delete_expired(model)
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS * random.uniform(0.75, 1.25)
            if swept := self._store.sweep(self._leases.is_referenced, 2 * self._leases.lease_seconds):
                log.info("orphaned files deleted", attempts=swept)

    def reap(self, model: str) -> None:
        """Give the jobs of workers that stopped beating to others."""
        while reaped := self._leases.reap(model):
            for job in reaped:
                self._metrics.reclaimed(model)
                code = None if job.state is JobState.CANCELLED else WorkerCrashed.code
                self._metrics.ended(model, _OUTCOMES[job.state], code=code)
                log.warning("job reaped", job=job.job_id, state=job.state.value)

    def delete_expired(self, model: str) -> None:
        """Delete the files, then the records, of jobs past their retention or deleted by their clients."""
        while due := self._leases.expired(model):
            for job in due:
                self._store.delete(job)
                self._leases.forget(job)
                log.info("job purged", job=job.job_id)
