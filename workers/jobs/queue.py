"""The job queue: what the service does with jobs. The worker's side is `leases.py`, who is alive `presence.py`, what an
operator sees `inspection.py`.

Promise: at-least-once execution, at most one published result, nothing accepted is lost, a terminal state never
changes. The record of a job is a hash; streams only point to it. Each transition is one Lua script.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from workers.jobs import keys
from workers.jobs.connection import Connection, redis_errors
from workers.jobs.errors import IdempotencyConflict, InvalidRequest, JobNotFound
from workers.jobs.inspection import Inspection
from workers.jobs.job import GenerationRequest, Job, JobState, Priority, model_of
from workers.jobs.leases import Attempt, BeatReply, Expired, Leases, Reaped, Settled
from workers.jobs.presence import Presence, WorkerInfo
from workers.jobs.records import job_from

__all__ = ["Attempt", "BeatReply", "Depth", "Expired", "JobQueue", "Reaped", "Settled", "WorkerInfo"]


@dataclass(frozen=True, slots=True)
class Depth:
    """A model's load: jobs waiting, jobs running, and how long the first in line has waited (0 when none does)."""

    queued: int
    running: int
    oldest_seconds: float


class JobQueue(Leases, Presence, Inspection):
    """The whole queue on one Redis (6.2 or newer), for service and workers. Safe to share between threads,
    except `claim` and `wait`, which belong to one thread.

    `lease_seconds` is how long a silent worker keeps its job, `retention_seconds` how long a job is kept once it
    ended. Every method raises `QueueUnavailable` when Redis cannot be reached or refuses.
    """

    def __init__(self, redis_url: str, *, lease_seconds: float = 60.0, retention_seconds: float = 86400.0) -> None:
        connection = Connection(redis_url)
        Leases.__init__(self, connection, lease_seconds=lease_seconds, retention_seconds=retention_seconds)
        Presence.__init__(self, connection)
        Inspection.__init__(self, connection)

    def reserve(self, tenant: str, key: str, fingerprint: str, job_id: str, ttl_seconds: int) -> str:
        """The job id that belongs to an idempotency key: the first caller's, so `job_id` itself if this is the first.

        Raises `IdempotencyConflict` when the first came with another fingerprint. The key lies in another hash slot
        than the job; a crash between `reserve` and `submit` is healed by the client's retry, which gets the same id.
        """
        args = [fingerprint, job_id, ttl_seconds]
        first_fingerprint, first_id = self._connection.call("reserve", keys.idempotency(tenant, key), args=args)
        if first_fingerprint != fingerprint:
            raise IdempotencyConflict("Idempotency-Key", "this Idempotency-Key was used with another request body")
        return str(first_id)

    def submit(
        self, *, job_id: str, tenant: str, priority: Priority, request: GenerationRequest, metadata: dict[str, str]
    ) -> Job:
        """Accept a job. Idempotent: a second submission of `job_id` returns the job as it stands."""
        record = self._connection.call(
            "submit",
            keys.root_of(job_id),
            args=[job_id, tenant, priority, request.model_dump_json(), json.dumps(metadata)],
        )
        return _visible(record, job_id, tenant)

    def get(self, job_id: str, tenant: str) -> Job:
        """The job as it stands. Raises `JobNotFound`, also for another tenant's job."""
        with redis_errors():
            record: dict[str, str] = self._connection.commands.hgetall(keys.job(job_id))  # type: ignore[assignment]
        return _visible(record, job_id, tenant)

    def list(
        self, tenant: str, models: Iterable[str], *, after: str | None, limit: int, ascending: bool
    ) -> tuple[list[Job], bool]:
        """A page of the tenant's jobs by creation then id, starting behind the job `after`; and whether more follow.

        Raises `InvalidRequest` when `after` is no job of the tenant's.
        """
        start = self._position_in_time(after, tenant) if after else None
        first = start[0] if start else ("-inf" if ascending else "+inf")
        with redis_errors(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for model in models:
                pipeline.zrange(
                    keys.tenant_jobs(model, tenant),
                    first,  # a score, not an index, because of byscore
                    "+inf" if ascending else "-inf",
                    byscore=True,
                    desc=not ascending,
                    offset=0,
                    num=limit + 5,  # `after` itself, one to see whether there are more, and any of the same microsecond
                    withscores=True,
                )
            found = [(score, job_id) for page in pipeline.execute() for job_id, score in page]
            found.sort(reverse=not ascending)
            if start:
                found = [at for at in found if (at > start if ascending else at < start)]
            for _, job_id in found[:limit]:
                pipeline.hgetall(keys.job(job_id))
            records = pipeline.execute()
        jobs = [job_from(record) for record in records if _is_visible(record, tenant)]
        return jobs, len(found) > limit

    def cancel(self, job_id: str, tenant: str) -> Job:
        """Cancel a job: a queued one at once; a running one gets `cancel_requested` and will end `cancelled`, whatever
        its worker reports; a finished one stays as it is. Raises `JobNotFound`."""
        args = [job_id, tenant, self.retention_seconds]
        return _visible(self._connection.call("cancel", keys.root_of(job_id), args=args), job_id, tenant)

    def delete(self, job_id: str, tenant: str) -> None:
        """Make the job disappear for its tenant, prompt included. A running one is cancelled and purged when its
        attempt ends. The workers' sweep deletes its files. Raises `JobNotFound`."""
        if not self._connection.call("delete", keys.root_of(job_id), args=[job_id, tenant]):
            raise JobNotFound(f"there is no job {job_id!r}")

    def position(self, job: Job) -> int | None:
        """How many jobs of the model will start before this one; None unless it is queued."""
        if job.state is not JobState.QUEUED:
            return None
        model = model_of(job.id) or ""
        lanes = keys.LANES[: keys.LANES.index(job.priority) + 1]
        with redis_errors(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for lane in lanes:
                pipeline.zrank(keys.queued(model, lane), job.id)
                pipeline.zcard(keys.queued(model, lane))
            answers = pipeline.execute()
        ahead = 0
        for rank, length in zip(answers[::2], answers[1::2], strict=True):
            if rank is not None:
                return int(ahead + rank)
            ahead += length
        return None  # It was claimed in between.

    def depth(self, model: str) -> Depth:
        """How much work a model has."""
        queued, running, oldest = self._connection.call("depth", keys.root(model))
        return Depth(queued, running, float(oldest))

    def ping(self) -> None:
        """Raise `QueueUnavailable` unless Redis answers and takes writes (its disk or memory may be full)."""
        with redis_errors():
            self._connection.commands.set("ping", "", ex=60)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _position_in_time(self, job_id: str, tenant: str) -> tuple[float, str]:
        model = model_of(job_id)
        with redis_errors():
            score = self._connection.commands.zscore(keys.tenant_jobs(model, tenant), job_id) if model else None
        if score is None:
            raise InvalidRequest("after", f"after {job_id!r} must be the id of one of your jobs")
        return float(score), job_id


def _is_visible(record: dict[str, str], tenant: str) -> bool:
    """Records may have expired since they were listed."""
    return bool(record) and record["tenant"] == tenant and "deleted" not in record


def _visible(record: "dict[str, str] | list[str]", job_id: str, tenant: str) -> Job:
    fields = record if isinstance(record, dict) else dict(zip(record[::2], record[1::2], strict=True))
    if not _is_visible(fields, tenant):
        raise JobNotFound(f"there is no job {job_id!r}")
    return job_from(fields)
