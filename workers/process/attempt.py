"""One attempt, from its claim to its end: the supervisor's side of a running job."""

import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

import structlog

from workers.jobs.errors import (
    AttemptFailed,
    DeadlineExceeded,
    GroupFailed,
    LeaseLost,
    QueueUnavailable,
    StepTimeout,
    WorkerCrashed,
)
from workers.jobs.job import JobError, JobState, Stage
from workers.jobs.leases import Attempt, BeatReply, Leases, Settled
from workers.jobs.store import Store
from workers.parallel.loss import Loss
from workers.process.child import Child, ChildDied
from workers.process.events import (
    Done,
    Ending,
    Failed,
    PreviewMade,
    Progress,
    Run,
    StageStarted,
    StepDone,
    Stop,
    Stopped,
)
from workers.process.metrics import Metrics, Outcome
from workers.process.settings import Settings
from workers.process.shutdown import Shutdown
from workers.process.step_log import StepLog

log = structlog.get_logger()

#: While progress comes in, it is written this often, in seconds; a cancel is noticed as fast.
PROGRESS_SECONDS = 0.5
#: Longest time between two beats while denoising: a cancel that comes in a long step then still ends the job with it.
DENOISE_BEAT_SECONDS = 2.0
#: How soon to try again what Redis did not answer.
RETRY_SECONDS = 1.0
#: At shutdown a stopped job gets this long to reach its next step, before its process is killed.
STOP_GRACE_SECONDS = 10.0


class StopReason(Enum):
    """Why the child was told to stop."""

    CANCELLED = auto()  # by a client
    LATE = auto()  # its deadline is over
    SHUTDOWN = auto()
    LAPSED = auto()  # Redis was away for so long that another worker may have the job
    LOST = auto()  # another worker has it, or it is gone


class AttemptWatch:
    """Renews the lease and notes progress while the child works, ends the job when it must, and settles the outcome.

    Runs in the supervisor's main thread. It may be stopped and continued, or cut off from Redis, at any point: what
    decides is the queue's compare-and-set, never this object's idea of who owns the job.
    """

    def __init__(
        self,
        attempt: Attempt,
        child: Child,
        leases: Leases,
        store: Store,
        settings: Settings,
        metrics: Metrics,
        shutdown: Shutdown,
        version: str = "",
    ) -> None:
        """version: what it is computed with, where that is known."""
        self._version = version
        self._attempt, self._child, self._leases, self._store = attempt, child, leases, store
        self._settings, self._metrics, self._shutdown = settings, metrics, shutdown
        self._job = attempt.job
        self._log = log.bind(job=self._job.id, attempt=self._job.attempts)
        self._stage: Stage | None = None
        self._steps = StepLog()
        self._stopping: StopReason | None = None
        self._cut_off = False
        self._renewed_at = self._beat_at = self._progress_at = self._stopped_at = time.monotonic()
        self._next_beat_at = self._beat_at + settings.beat_seconds

    def run(self) -> Done | None:
        """Returns when the job is no longer this worker's, with what came out of it; the child may be dead then."""
        if self._job.attempts == 1:
            self._metrics.started(self._job.request.model, self._attempt.waited_seconds)
        self._log.info("job started", waited_seconds=round(self._attempt.waited_seconds, 3))
        try:
            self._child.send(Run(self._attempt.key, self._job.request))
            event = self._watch()
        except ChildDied as died:
            self._log.error("the model's process died", cause=str(died))
            self._end_without_child(_death(self._child.exit_code))
        except StepTimeout as error:
            self._child.kill()
            self._end_without_child(error)
        else:
            self._end(event)
            if isinstance(event, Done):
                return event
        return None

    def _watch(self) -> Ending:
        """Look after the job until the child says how it ended. Raises `ChildDied`, `StepTimeout`."""
        while True:
            event = self._child.receive(min(PROGRESS_SECONDS, self._next_beat_at - time.monotonic()))
            match event:
                case Done(job_id) | Stopped(job_id) | Failed(job_id) if job_id == self._job.id:
                    return event
                case StageStarted(job_id) | StepDone(job_id) if job_id == self._job.id:
                    self._note(event)
                case PreviewMade(job_id, step, picture) if job_id == self._job.id:
                    self._show(step, picture)
                case None:
                    self._check_progress()
            self._beat_if_due()
            self._check_deadlines()

    def _note(self, event: Progress) -> None:
        self._progress_at = time.monotonic()
        self._next_beat_at = min(self._next_beat_at, self._beat_at + PROGRESS_SECONDS)
        match event:
            case StageStarted(_, stage):
                self._stage = stage
            case StepDone():
                self._steps.add(event)
                self._metrics.stepped(self._job.request.model, event)

    def _beat_if_due(self) -> None:
        # The lease counts from before the question: the answer may take long.
        asked_at = time.monotonic()
        if asked_at < self._next_beat_at:
            return
        interval = self._settings.beat_seconds
        if self._stage == "denoise":
            interval = min(interval, DENOISE_BEAT_SECONDS)
        self._beat_at, self._next_beat_at = asked_at, asked_at + interval
        if self._stopping in (StopReason.LOST, StopReason.LAPSED):
            return
        try:
            details = self._steps.details()
            reply = self._leases.beat(self._attempt, self._stage, len(details.decisions), details)
        except QueueUnavailable as error:
            lapsed = time.monotonic() - self._renewed_at > self._settings.lease_seconds
            self._warn("lease not renewed", error)
            self._next_beat_at = min(self._next_beat_at, time.monotonic() + RETRY_SECONDS)
            if lapsed:
                self._stop(StopReason.LAPSED)
            return
        self._cut_off = False
        if reply is BeatReply.LOST:
            self._metrics.stale_write_refused(self._job.request.model)
            self._stop(StopReason.LOST)
            return
        self._renewed_at = asked_at
        self._steps.told(details)
        if reply is BeatReply.STOP:
            self._stop(StopReason.CANCELLED)
        elif reply is BeatReply.LATE:
            self._stop(StopReason.LATE)

    def _check_progress(self) -> None:
        """To be called when nothing lies there to be read: a beat may have taken long, and steps came meanwhile."""
        if time.monotonic() - self._progress_at > self._settings.step_timeout_seconds:
            raise StepTimeout(f"no progress for {self._settings.step_timeout_seconds:g} seconds")

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        if self._shutdown.over(self._settings.drain_seconds):
            self._stop(StopReason.SHUTDOWN)
        if self._stopping is StopReason.SHUTDOWN and now - self._stopped_at > STOP_GRACE_SECONDS:
            self._child.kill()
            raise ChildDied("killed: it did not reach its next step in time")

    def _stop(self, reason: StopReason) -> None:
        """Tell the child to give up at its next step. The first reason stays, except that a lost job is lost."""
        if self._stopping is None:
            self._log.info("stopping job", why=reason.name.lower())
            self._stopping, self._stopped_at = reason, time.monotonic()
            self._child.send(Stop(self._job.id))
        elif reason is StopReason.LOST:
            self._stopping = reason

    def _end(self, event: Ending) -> None:
        match event:
            case Done(_, report, artifact, _, prompt_known):
                self._tell_last_steps()
                ended = self._settle(lambda: self._leases.complete(self._attempt, artifact, report, self._version))
                if ended is JobState.COMPLETED:
                    self._metrics.completed(self._job.request, report, prompt_known=prompt_known)
            case Stopped():
                self._end_stopped()
            case Failed(_, code, message, max_attempts, poisons_process):
                error = JobError(code=code, message=message)
                if poisons_process:
                    self._child.kill()
                self._settle(lambda: self._leases.fail(self._attempt, error, max_attempts), code)

    def _show(self, step: int, picture: bytes) -> None:
        """To those who watch. It is worth no wait: while Redis is away, or another has the job, nobody is shown it."""
        if not self._cut_off and self._stopping is None:
            with suppress(QueueUnavailable):
                self._leases.show(self._attempt, step, picture)

    def _tell_last_steps(self) -> None:
        """Those since the last beat. What the answer says does not matter any more: whether the job is still ours, and
        whether a client has cancelled it, the queue decides."""
        if self._steps.untold:
            details = self._steps.details()
            with suppress(QueueUnavailable):
                self._leases.beat(self._attempt, "denoise", len(details.decisions), details)

    def _end_stopped(self) -> None:
        if self._stopping in (StopReason.CANCELLED, StopReason.LATE):
            self._settle(lambda: self._leases.cancel(self._attempt))
        else:
            self._settle(lambda: self._leases.release(self._attempt), released=True)

    def _end_without_child(self, error: AttemptFailed) -> None:
        if self._stopping in (None, StopReason.LOST):
            failure = JobError(code=error.code, message=str(error))
            self._settle(lambda: self._leases.fail(self._attempt, failure, error.max_attempts), error.code)
        else:
            self._end_stopped()

    def _settle(
        self, action: Callable[[], Settled], code: str | None = None, *, released: bool = False
    ) -> JobState | None:
        """Tell the queue how the attempt ended, however long Redis is away; returns the job's state, None when lost."""
        try:
            if self._stopping is StopReason.LOST:
                raise LeaseLost("known to be lost; asking again would only be refused")
            settled = self._write_until_accepted(action)
        except LeaseLost:
            if self._stopping is not StopReason.LOST:
                self._metrics.stale_write_refused(self._job.request.model)
            return self._ended("lost", None, code)
        if settled is None:
            # The files stay: Redis may have taken our word and lost its reply. The sweep finds out.
            return self._ended("lost", None, code, keep_files=True)
        if settled.state is JobState.FAILED and code is None:  # whatever this attempt came to
            code = DeadlineExceeded.code
        outcome: Outcome = "released" if released else "retried"
        if settled.state.terminal:
            outcome = settled.state.value  # type: ignore[assignment]  # each terminal state is an outcome
        return self._ended(outcome, settled, code, keep_files=outcome == "completed")

    def _ended(
        self, outcome: Outcome, settled: Settled | None, code: str | None, *, keep_files: bool = False
    ) -> JobState | None:
        if not keep_files:
            self._store.discard(self._attempt.key)
        total = settled.total_seconds if settled and settled.state.terminal else None
        self._metrics.ended(self._job.request.model, outcome, total, code)
        self._log.info(
            "job ended", outcome=outcome, steps=len(self._steps.decisions), **({"code": code} if code else {})
        )
        return settled.state if settled else None

    def _write_until_accepted(self, action: Callable[[], Settled]) -> Settled | None:
        """The finished job's fate can wait for Redis: nothing else can be done meanwhile, and a token decides.

        Raises `LeaseLost`; None when a shutdown ended the wait, and then the reaper of another worker takes over.
        """
        while True:
            try:
                return action()
            except QueueUnavailable as error:
                self._warn("outcome not written", error)
                if self._shutdown.over(self._settings.drain_seconds):
                    return None
                time.sleep(RETRY_SECONDS)

    def _warn(self, event: str, error: QueueUnavailable) -> None:
        """Log that Redis is away, once for each time that it goes."""
        if not self._cut_off:
            self._log.warning(event, error=str(error))
        self._cut_off = True


def _death(exit_code: int | None) -> AttemptFailed:
    """What the end of the process is for the job."""
    if exit_code in list(Loss):
        return GroupFailed(f"of the processes that computed the job together {Loss(exit_code).shown}")
    return WorkerCrashed("the process that ran the job died")
