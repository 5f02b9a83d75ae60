"""The worker's main process: claims jobs, watches over each, and owns the process that holds the models.

It never imports torch: loading and compiling models hold the interpreter's lock for seconds, and beats must not wait.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

import structlog

from workers.jobs.append_only import AppendOnlyFile
from workers.jobs.colours import Colours
from workers.jobs.connection import Connection
from workers.jobs.errors import (
    InvalidRequest,
    LeaseLost,
    QueueUnavailable,
    RequestRefused,
    StorageFailed,
    StorageUnavailable,
    StoreMismatch,
    WorkerCrashed,
)
from workers.jobs.job import JobError
from workers.jobs.leases import Attempt, Leases
from workers.jobs.observations import Observations
from workers.jobs.pace import MeasuredRuns
from workers.jobs.presence import Presence
from workers.jobs.reruns import Reruns
from workers.jobs.s3_location import BRIEF
from workers.jobs.storage import open_store
from workers.jobs.store import StoreUnreachable
from workers.jobs.store_binding import StoreBinding
from workers.jobs.token_counts import TokenCounts
from workers.jobs.versions import Version
from workers.models.catalogue import Catalogue
from workers.process.announcer import ANNOUNCE_SECONDS, Announcer
from workers.process.attempt import AttemptWatch
from workers.process.child import Child, ChildDied, ChildSettings, runner
from workers.process.housekeeping import Housekeeping
from workers.process.idle_work import IdleWork
from workers.process.learning import Learning
from workers.process.loading import IDLE_SECONDS, Loading
from workers.process.metrics import Metrics
from workers.process.punctuality import Punctuality
from workers.process.runs_jobs import RunsJobs
from workers.process.settings import Settings
from workers.process.shutdown import Shutdown
from workers.process.token_counter import TokenCounter

log = structlog.get_logger()

REDIS_BACKOFF_SECONDS = 1.0


class Supervisor:
    """One worker: one process with models, one job at a time."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        shutdown: Shutdown,
        make_runner: Callable[[ChildSettings], RunsJobs] = runner,
    ) -> None:
        self._settings, self._catalogue, self._shutdown, self._make_runner = settings, catalogue, shutdown, make_runner
        models = tuple(catalogue.entries)
        self._connection = Connection(settings.redis_address)
        self._metrics = Metrics(models)
        self._leases = Leases(
            self._connection,
            lease_seconds=settings.lease_seconds,
            retention_seconds=settings.retention_seconds,
            most_running_of_tenant=settings.max_running_per_tenant or 0,
            foresight=Punctuality(
                MeasuredRuns(self._connection), catalogue, self._metrics, lambda: self._loading.versions
            ),
        )
        self._store = open_store(settings.artifacts, settings.s3, BRIEF)
        self._devices = {name: entry.devices for name, entry in catalogue.entries.items()}
        self._metrics.groups(self._devices)
        self._serves = {name: entry.shown() for name, entry in catalogue.entries.items()}
        self._binding = StoreBinding(self._store, self._connection)
        presence = Presence(self._connection)
        self._announcer = Announcer(
            presence,
            self._metrics,
            shutdown,
            settings.worker,
            self._serves,
            min(ANNOUNCE_SECONDS, settings.lease_seconds / 4),
            settings.max_running_per_tenant or 0,
            self._versions,
        )
        self._housekeeping = Housekeeping(
            self._leases,
            presence,
            AppendOnlyFile(self._connection),
            self._store,
            self._binding,
            self._metrics,
            models,
            settings.unserved_seconds,
        )
        self._loading = Loading(self._start_child, self._announcer, self._metrics, shutdown)
        self._token_counter = TokenCounter(TokenCounts(self._connection), lambda: self._loading.readers)
        self._learning = Learning(
            Observations(self._connection, settings.retention_seconds),
            Colours(self._connection),
            self._metrics,
            self._loading.fingerprints,
        )
        reruns = Reruns(self._connection, lease_seconds=settings.lease_seconds, kept_seconds=settings.retention_seconds)
        self._idle_work = IdleWork(
            settings, catalogue, reruns, self._learning, self._metrics, self._announcer, shutdown
        )
        self._quiet_since = self._told_at = time.monotonic()
        self._reachable = True
        self._storage_problem: JobError | None = None

    def run(self) -> None:
        """Serve until a signal asks for the end."""
        log.info("worker started", worker=self._settings.worker, models=self._serves)
        with ExitStack() as endings:
            endings.callback(log.info, "worker stopped", worker=self._settings.worker)
            endings.callback(self._connection.close)
            if self._settings.metrics_port is not None:
                host = self._settings.metrics_host
                port = endings.enter_context(self._metrics.serve(host, self._settings.metrics_port))
                log.info("metrics served", host=host, port=port)
            for thread in (self._announcer, self._housekeeping, self._token_counter):
                thread.start()
                endings.callback(thread.stop)
            endings.callback(self._loading.drop)
            while not self._shutdown.requested:
                if self._loading.ready or self._made_ready():
                    self._serve_next()

    def _made_ready(self) -> bool:
        """One step towards loaded models; what a new process was told is nothing."""
        if ready := self._loading.make_ready():
            self._learning.begin()
            self._storage_problem = None
        return ready

    def _start_child(self) -> Child:
        settings, models = self._settings, tuple(self._catalogue.entries)
        return Child(
            ChildSettings(
                self._catalogue,
                settings.artifacts,
                models,
                settings.torch_threads,
                settings.log_format,
                settings.embedded,
                settings.prompt_cache_mib << 20,
                settings.s3,
                settings.previews,
            ),
            self._make_runner,
        )

    def _serve_next(self) -> None:
        """Wait for a job and run it; returns now and then without one."""
        child = self._loading.child
        assert child is not None
        try:
            while self._loading.warmed:
                self._learning.keep_warm_up(self._loading.warmed[-1])
                self._loading.warmed.pop()
            if not self._can_store():
                child.receive(0)
                self._shutdown.sleep(IDLE_SECONDS)
                return
            attempt = self._claim()
            if attempt is None:
                child.receive(0)  # An idle process sends nothing; this finds out that it died.
                self._loading.try_again()
                if not self._loading.ready:
                    return
                if self._wait(IDLE_SECONDS):
                    self._quiet_since = time.monotonic()
                elif self._may_work_idly():
                    attempt = self._idle_work.work(child, self._loading.models, self._wait, self._claim)
                self._keep_up(child)
        except QueueUnavailable as error:
            if self._reachable:
                log.warning("waiting for Redis", error=str(error))
            self._reachable = False
            self._quiet_since = time.monotonic()
            self._shutdown.sleep(REDIS_BACKOFF_SECONDS)
            return
        except ChildDied as died:
            self._loading.failed(WorkerCrashed.code, f"the idle process died: {died}")
            return
        self._reachable = True
        if attempt is not None:
            self._serve(attempt, child)
            self._quiet_since = time.monotonic()
        elif not child.alive:
            self._loading.drop()

    def _keep_up(self, child: Child) -> None:
        """Now and then an idle worker hears what others have learnt: what it computes with is what it says."""
        if time.monotonic() >= self._told_at + ANNOUNCE_SECONDS:
            self._told_at = time.monotonic()
            for model in self._loading.models:
                self._learning.tell(child, model)

    def _versions(self) -> dict[str, Version]:
        """What the models that are loaded compute with. Asked by any thread."""
        told = self._loading.versions.items()
        return {model: Version(software, self._learning.known(model)) for model, software in told}

    def _claim(self) -> Attempt | None:
        """The next job. Models take turns, or a busy one would starve those behind it. Raises `QueueUnavailable`."""
        first, *others = self._loading.models
        self._loading.models = models = (*others, first)
        return self._leases.claim(models, self._settings.worker, self._devices)

    def _wait(self, seconds: float) -> bool:
        """Until there may be a job. Raises `QueueUnavailable`."""
        return self._leases.wait(self._loading.models, seconds)

    def _may_work_idly(self) -> bool:
        """The one permission for all that is no job: no job has come for a while, and the worker is to go on.

        To be asked after a wait that no job has ended: one that comes later ends the idle work.
        """
        quiet = time.monotonic() - self._quiet_since
        return quiet >= self._settings.idle_seconds and not self._shutdown.requested

    def _can_store(self) -> bool:
        """Whether a result could be stored where the service looks for it: else no job is taken, and it says why.

        Raises `QueueUnavailable`.
        """
        problem = None
        try:
            self._store.probe()
            self._binding.check()
        except OSError as error:
            why = f"results cannot be stored: {error.strerror or type(error).__name__}"
            unreachable = isinstance(error, StoreUnreachable)
            problem = JobError(code=(StorageUnavailable if unreachable else StorageFailed).code, message=why)
        except StoreMismatch as error:
            problem = JobError(code=error.code, message=str(error))
        if problem != self._storage_problem:
            if problem is None:
                log.info("results can be stored again")
            else:
                log.error("no jobs taken", code=problem.code, cause=problem.message)
            self._announcer.set_state("idle" if problem is None else "failed", problem)
        self._storage_problem = problem
        return problem is None

    def _serve(self, attempt: Attempt, child: Child) -> None:
        if self._shutdown.requested:  # The signal came while the claim was under way.
            with suppress(QueueUnavailable, LeaseLost):
                self._leases.release(attempt)
            return
        request = attempt.job.request
        try:
            self._catalogue.check(request)
        except InvalidRequest as error:  # The service checks too, but perhaps another catalogue, or an older one.
            self._refuse(attempt, RequestRefused(str(error)))
            return
        self._announcer.set_state("busy")
        self._learning.tell(child, request.model)
        version = self._versions()[request.model].of(request)
        watch = AttemptWatch(
            attempt, child, self._leases, self._store, self._settings, self._metrics, self._shutdown, version
        )
        if done := watch.run():
            if done.learnt is not None:
                self._learning.keep(request, done.learnt)
            if done.colours is not None:
                self._learning.keep_colours(request.model, done.colours)
            self._idle_work.note(attempt.job, done)
        if child.alive:
            self._announcer.set_state("idle")
        else:
            self._loading.drop()

    def _refuse(self, attempt: Attempt, refusal: RequestRefused) -> None:
        with suppress(QueueUnavailable, LeaseLost):
            self._leases.fail(attempt, JobError(code=refusal.code, message=str(refusal)), refusal.max_attempts)
        self._metrics.ended(attempt.job.request.model, "failed", code=refusal.code)
        log.info("job ended", job=attempt.job.id, outcome="failed", code=refusal.code)
