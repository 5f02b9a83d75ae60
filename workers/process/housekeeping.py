"""What a worker does beside its jobs: takes jobs from the dead, deletes files that nobody needs."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import structlog

from workers import logs
from workers.jobs.append_only import AppendOnlyFile
from workers.jobs.errors import DeadlineExceeded, ModelNotServed, QueueUnavailable, StoreMismatch, WorkerCrashed
from workers.jobs.job import JobState
from workers.jobs.leases import Leases
from workers.jobs.presence import Presence
from workers.jobs.store import Store
from workers.jobs.store_binding import StoreBinding
from workers.process.metrics import Metrics, Outcome

log = structlog.get_logger()

ROUND_SECONDS = 5.0
#: Between two searches for files that belong to no job; each reads the whole artifact folder.
SWEEP_SECONDS = 600.0
#: Between two looks whether Redis' file is due.
REWRITE_SECONDS = 3600.0
#: What belongs to no job is kept for so long at least, and for two leases.
ORPHAN_SECONDS = 3600.0
#: Longest time of one step, but for one unit of its work; then the other steps have their turn.
STEP_SECONDS = 2.0
_OUTCOMES: dict[JobState, Outcome] = {
    JobState.QUEUED: "retried",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "failed",
    JobState.DEAD: "dead",
}
_CODES: dict[JobState, str | None] = {
    JobState.QUEUED: WorkerCrashed.code,
    JobState.CANCELLED: None,
    JobState.FAILED: DeadlineExceeded.code,
    JobState.DEAD: WorkerCrashed.code,
}


class Housekeeping:
    """A thread of its own, so that none of it waits for a job, and no job for it. Each of its steps fails alone."""

    def __init__(
        self,
        leases: Leases,
        presence: Presence,
        append_only: AppendOnlyFile,
        store: Store,
        binding: StoreBinding,
        metrics: Metrics,
        models: Sequence[str],
        unserved_seconds: float,
    ) -> None:
        """unserved_seconds: how long the jobs of a model that nobody serves wait for that to change."""
        self._leases, self._presence, self._append_only = leases, presence, append_only
        self._store, self._binding = store, binding
        self._metrics, self._models, self._unserved_seconds = metrics, tuple(models), unserved_seconds
        self._failing: set[str] = set()
        self._end = threading.Event()
        self._reap_at = self._rewrite_at = 0.0
        self._sweep_at = time.monotonic() + SWEEP_SECONDS * random.uniform(0.75, 1.25)  # Never in the first round.
        self._sweeping: Iterator[bool] = iter(())
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        interval = self._leases.lease_seconds / 4
        while not self._end.is_set():
            now = time.monotonic()
            if now >= self._reap_at:
                # Jitter, or all workers that started together would ask at the same moment forever.
                self._reap_at = now + interval * random.uniform(0.75, 1.25)
                for model in self._models:
                    self._try(f"reap {model}", partial(self.reap, model))
                    self._try(f"delete {model}", partial(self.delete_expired, model))
            if now >= self._rewrite_at:
                self._rewrite_at = now + REWRITE_SECONDS
                self._try("rewrite", self._append_only.rewrite_daily)
            self._try("abandon", self.abandon_unserved)
            self._try("sweep", self._sweep_on)
            self._end.wait(min(ROUND_SECONDS, interval))

    def _try(self, step: str, act: Callable[[], object]) -> None:
        """Log a step's failure once, until it succeeds again: a full disk is no reason to stop reaping."""
        try:
            act()
        except (QueueUnavailable, StoreMismatch, OSError) as error:
            if step not in self._failing:
                log.warning("housekeeping step failed", step=step, error=str(error))
            self._failing.add(step)
        except Exception as error:
            if step not in self._failing:
                log.error("housekeeping step failed", step=step, frames=logs.frames_of(error))
            self._failing.add(step)
        else:
            self._failing.discard(step)

    def reap(self, model: str) -> None:
        """Give the jobs of workers that stopped beating to others."""
        until = time.monotonic() + STEP_SECONDS
        while reaped := self._leases.reap(model):
            for job in reaped:
                self._metrics.reclaimed(model)
                self._metrics.ended(model, _OUTCOMES[job.state], code=_CODES[job.state])
                log.warning("job reaped", job=job.job_id, state=job.state.value)
            if time.monotonic() >= until:
                self._reap_at = 0.0  # The rest in the next round.
                return

    def delete_expired(self, model: str) -> None:
        """Delete the files, then the records, of jobs past their retention or deleted by their clients."""
        until = time.monotonic() + STEP_SECONDS
        while due := self._leases.expired(model):
            self._binding.check()
            for job in due:
                self._store.delete(job)
                self._leases.forget(job)
                log.info("job purged", job=job.job_id)
            if time.monotonic() >= until:
                self._reap_at = 0.0  # The rest in the next round.
                return

    def abandon_unserved(self) -> None:
        """End and tidy up what is left of models that nobody serves any more."""
        for model in self._presence.unserved(self._unserved_seconds):
            self.reap(model)
            for job_id in self._leases.abandon(model):
                self._metrics.ended(model, "failed", code=ModelNotServed.code)
                log.warning("job ended", job=job_id, outcome="failed", code=ModelNotServed.code)
            self.delete_expired(model)
            if self._leases.is_done(model):
                self._presence.forget(model)

    def sweep(self) -> None:
        """Begin to look for files that belong to no job; each round goes on with it until it has seen them all."""
        age = max(ORPHAN_SECONDS, 2 * self._leases.lease_seconds)
        self._sweeping = self._store.sweep(self._leases.is_referenced, age)

    def _sweep_on(self) -> None:
        self._binding.check()
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS * random.uniform(0.75, 1.25)
            self.sweep()
        swept = 0
        for deleted in self._sweeping:
            swept += deleted
            if time.monotonic() >= now + STEP_SECONDS:
                break
        if swept:
            log.info("orphaned files deleted", attempts=swept)
