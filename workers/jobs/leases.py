"""The worker's side of the queue: claim a job, keep its lease alive, end the attempt; and reap those who stopped."""

import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from pydantic_core import to_json

from workers.jobs import keys, scripts
from workers.jobs.artifact import Artifact
from workers.jobs.connection import MAX_BLOCK_SECONDS, Connection
from workers.jobs.errors import LeaseLost, ModelNotServed, RequestRefused, WorkerCrashed
from workers.jobs.foresight import FASTEST, Foresight, least_seconds
from workers.jobs.job import (
    AttemptKey,
    Job,
    JobError,
    JobKey,
    JobState,
    Misprediction,
    RunReport,
    Stage,
    model_of,
)
from workers.jobs.pace import MeasuredRun
from workers.jobs.records import fields_of, job_from
from workers.jobs.removal import INPUT
from workers.jobs.versions import software_of

#: Of one that shows how a job forms.
MOST_PICTURE_BYTES = 64 << 10
#: Of jobs with a deadline, how many a claim may look at: the next one looks at more.
MOST_ASKED = 100

Ending = Literal["completed", "failed", "cancelled", "released"]


class BeatReply(StrEnum):
    """What a worker is to do with the job that it runs."""

    OK = "ok"
    STOP = "stop"  # a client cancelled or deleted the job: stop, then `cancel`
    LATE = "late"  # its deadline is over: the same, and it ends `failed`
    LOST = "lost"  # the job is not this attempt's any more: stop, and write nothing


@dataclass(frozen=True, slots=True)
class Attempt:
    """One worker's right to run a job."""

    job: Job
    token: str

    @property
    def key(self) -> AttemptKey:
        """What the attempt goes by."""
        return AttemptKey(self.job.tenant, self.job.id, self.token)

    @property
    def waited_seconds(self) -> float:
        """From acceptance to this claim."""
        return max(0.0, (self.job.started_at or self.job.created_at) - self.job.created_at)


@dataclass(frozen=True, slots=True)
class StepDetails:
    """What is known of an attempt's finished steps.

    decisions: a letter for each: F computed in full, P predicted; empty where that is not known. full_step_seconds: the
    mean over full steps. mispredictions: what full steps have shown since the last beat that was answered.
    """

    decisions: str = ""
    full_step_seconds: float = 0.0
    mispredictions: Sequence[Misprediction] = ()


NO_DETAILS = StepDetails()


@dataclass(frozen=True, slots=True)
class Settled:
    """How an attempt really ended: a job whose cancel was accepted ends `cancelled`, whatever the worker reports.

    `state` is `queued` when the job will run again; `total_seconds` counts from its creation.
    """

    state: JobState
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Reaped:
    """A job that was taken from a silent worker. `state` is what became of it: `queued` to run again, `dead` when that
    was its last attempt, `cancelled` when a client had asked for that."""

    job_id: str
    state: JobState


class Leases:
    """Every method is one script: an atomic compare-and-set on the job's state and token.

    At least once: a job whose worker stops beating runs again. At most one result: only the attempt whose token is in
    the record can end it. All times come from the Redis server's clock. Every method raises `QueueUnavailable`.

    Safe to share between threads, except `claim` and `wait`, which belong to one thread.

    lease_seconds: how long a silent worker keeps its job. retention_seconds: how long a job is kept once it ended.
    most_running_of_tenant: how many jobs of one tenant may run at a time of a model; 0 for any number.
    foresight: says of jobs with a deadline how long they take; without it they are started before that, however late.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        lease_seconds: float = 60.0,
        retention_seconds: float = 86_400.0,
        most_running_of_tenant: int = 0,
        foresight: Foresight | None = None,
    ) -> None:
        self._connection, self._foresight = connection, foresight
        self._most_running = most_running_of_tenant
        self.lease_seconds = lease_seconds
        self.retention_seconds = retention_seconds
        self._seen: dict[keys.Key, str] = {}

    def claim(
        self, models: Sequence[str], worker: str, devices: Mapping[str, int] = MappingProxyType({})
    ) -> Attempt | None:
        """The next job of the first of `models` that has one, or None. Requeued jobs come first, then by priority; in
        each, tenants take turns, and what has waited for ten minutes moves up. None is started after its deadline, nor
        where what was measured says that it cannot end before: then it fails.

        devices: how many compute a job of a model together, where that is not one; they are counted as used.

        A claim whose reply was lost and is sent again gets the same job, because the token goes with it.
        """
        token = secrets.token_hex(16)
        for model in models:
            record, last_ids = self._claim(model, token, worker, devices.get(model, 1))
            if record:
                return self._attempt(record, token)
            if last_ids:
                self._seen.update(zip((keys.stream(model, lane) for lane in keys.LANES), last_ids, strict=True))
        return None

    def _claim(self, model: str, token: str, worker: str, devices: int) -> tuple[scripts.Record, list[str]]:
        """What the script says to the worker; neither where it has not come to an end of asking."""
        said: tuple[str, float | str] = ("", "")
        how = worker, self.lease_seconds, self._most_running, devices, self.retention_seconds
        foresees = "1" if self._foresight else ""
        for _ in range(2 * MOST_ASKED):  # asked, and told what became of it
            record, last_ids, asked = self._connection.run(
                scripts.Claim(keys.root(model), token, *how, foresees, *said, FASTEST)
            )
            if not asked or self._foresight is None:
                return record, last_ids
            if len(asked) == 1:
                self._foresight.failed(asked[0])
            said = ("", "") if len(asked) == 1 else (asked[0], least_seconds(self._foresight, asked[1]))
        return [], []

    def wait(self, models: Sequence[str], timeout_seconds: float) -> bool:
        """Block until a job was added since the last empty `claim` of these models, at most `timeout_seconds`.

        No wake-up is lost: the read starts at the entries that the claim saw, so what came in between ends it at once.
        Returns whether there may be a job; another worker may be faster.
        """
        streams = [keys.stream(model, lane) for model in models for lane in keys.LANES]
        block = max(1, int(1000 * min(timeout_seconds, MAX_BLOCK_SECONDS)))
        with self._connection.asking():
            return bool(
                self._connection.reads.xread(
                    {stream: self._seen.get(stream, "0-0") for stream in streams}, count=1, block=block
                )
            )

    def beat(
        self, attempt: Attempt, stage: Stage | None = None, step: int = 0, details: StepDetails = NO_DETAILS
    ) -> BeatReply:
        """Renew the lease and note progress: `step` counts finished steps and never goes back within an attempt."""
        job_id, shown = attempt.job.id, to_json(details.mispredictions).decode()
        progress = stage or "", step, details.decisions, shown, details.full_step_seconds
        beat = scripts.Beat(keys.root_of(job_id), job_id, attempt.token, self.lease_seconds, *progress)
        return BeatReply(self._connection.run(beat))

    def show(self, attempt: Attempt, step: int, picture: bytes) -> None:
        """Keep what the job looks as if it will become, after so many steps, for those who watch; in place of the last.
        A picture of more than `MOST_PICTURE_BYTES` is not kept."""
        job_id = attempt.job.id
        if len(picture) <= MOST_PICTURE_BYTES:
            text = b64encode(picture).decode()
            self._connection.run(scripts.Show(keys.root_of(job_id), job_id, attempt.token, step, text))

    def complete(self, attempt: Attempt, artifact: Artifact, report: RunReport, version: str = "") -> Settled:
        """Make the artifact the job's result. version: what it was computed with, `Version.of` the request; without,
        nobody else can have it. Raises `LeaseLost`; a retry after a lost reply answers as the first."""
        steps = report.steps, report.full_steps, report.cached_steps
        run = MeasuredRun.of(attempt.job.request, report, software_of(version, attempt.job.request))
        measured = (run.kind, run.model_dump_json()) if run else ("", "")
        # Of a report what says nothing is left out: a service of another version may not know what it is about.
        kept = report.model_dump_json(exclude_defaults=True)
        details = (artifact.model_dump_json(), kept, *steps, *measured, version)
        return self._settle(attempt.key, "completed", *details)

    def fail(self, attempt: Attempt, error: JobError, max_attempts: int) -> Settled:
        """End the attempt with an error. With fewer than `max_attempts` behind it the job is queued again; else it is
        `failed`, or `dead` (and in the dead-letter stream) when retries were allowed. Raises `LeaseLost`."""
        return self._settle(attempt.key, "failed", error.model_dump_json(), max_attempts)

    def cancel(self, attempt: Attempt) -> Settled:
        """End the attempt that stopped because a beat said so. Raises `LeaseLost`."""
        return self._settle(attempt.key, "cancelled")

    def release(self, attempt: Attempt) -> Settled:
        """Give the job back unharmed: it is served next, and the attempt does not count. Raises `LeaseLost`."""
        return self._settle(attempt.key, "released")

    def reap(self, model: str) -> list[Reaped]:
        """End the attempts whose lease has run out, at most 100 a call: queued again, or dead after their last."""
        error = JobError(code=WorkerCrashed.code, message="the worker that ran the job stopped responding")
        reap = scripts.Reap(
            keys.root(model), self.retention_seconds, error.model_dump_json(), WorkerCrashed.max_attempts
        )
        reply = self._connection.run(reap)
        return [Reaped(job_id, JobState(state)) for job_id, state in zip(reply[::2], reply[1::2], strict=True)]

    def abandon(self, model: str) -> list[str]:
        """End the queued jobs of a model that nobody serves, at most 100 a call, as `failed`; gives their ids."""
        error = JobError(code=ModelNotServed.code, message=f"model {model} is not served any more")
        abandon = scripts.Abandon(keys.root(model), self.retention_seconds, error.model_dump_json())
        return self._connection.run(abandon)

    def is_done(self, model: str) -> bool:
        """Whether none of a model's jobs waits, runs, has still to be deleted, or has a message left to send."""
        with self._connection.asking():
            lanes = (keys.queued(model, lane) for lane in keys.LANES)
            others = keys.leases(model), keys.expiries(model), keys.undelivered(model)
            return not self._connection.commands.exists(*lanes, *others)

    def expired(self, model: str, limit: int = 100) -> list[JobKey]:
        """Deleted jobs, and those past their retention: delete their files, then `forget` them.

        Entries that are no job's of the model are set aside, so that they are met once.
        """
        members = self._connection.run(scripts.Expired(keys.root(model), limit))
        return [JobKey(tenant, job_id) for job_id, _, tenant in (member.partition(":") for member in members)]

    def forget(self, job: JobKey) -> None:
        """Drop the record of a job whose files are gone."""
        self._connection.run(scripts.Forget(keys.root_of(job.job_id), job.job_id, job.tenant))

    def is_referenced(self, attempt: AttemptKey) -> bool:
        """Whether this attempt's files are, or may become, a job's result; what a job came with goes with the job."""
        if model_of(attempt.job_id) is None:
            return False
        with self._connection.asking():
            state, owner = self._connection.commands.hmget(keys.job(attempt.job_id), ["state", "token"])
            if state is None and self._connection.commands.exists(keys.sharers(attempt.job_id)):
                return True
        if attempt.token == INPUT:
            return state is not None
        return owner == attempt.token and state in (JobState.RUNNING, JobState.COMPLETED)

    def _attempt(self, record: scripts.Record, token: str) -> Attempt | None:
        """The claimed job; None when it cannot be read, and then it has failed: nobody is to claim it again."""
        try:
            return Attempt(job_from(record), token)
        except ValueError:
            fields = fields_of(record)
            error = JobError(code=RequestRefused.code, message="the job's record is not one that this version can read")
            attempt = AttemptKey(fields["tenant"], fields["id"], token)
            self._settle(attempt, "failed", error.model_dump_json(), RequestRefused.max_attempts)
            return None

    def _settle(self, attempt: AttemptKey, ending: Ending, *details: str | int) -> Settled:
        root = keys.root_of(attempt.job_id)
        settle = scripts.Settle(root, attempt.job_id, attempt.token, self.retention_seconds, ending, details)
        state, seconds = self._connection.run(settle)
        if state == "lost":
            raise LeaseLost(f"{attempt.job_id} is not this attempt's any more")
        return Settled(JobState(state), float(seconds))
