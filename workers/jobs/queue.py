"""The client's side of the queue: what the service does with jobs.

The worker's side is `leases.py`, who is alive `presence.py`, what an operator sees `inspection.py`, what happens to a
job as it happens `events.py`.

Promise: at-least-once execution, at most one published result, nothing accepted is lost, a terminal state never
changes. The record of a job is a hash; streams only point to it. Each transition is one Lua script.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from types import MappingProxyType

from pydantic_core import from_json

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection
from workers.jobs.cost import cost_of
from workers.jobs.errors import IdempotencyConflict, InvalidRequest, JobNotFound, QueueFull, QueueUnavailable
from workers.jobs.job import GenerationRequest, Job, JobKey, JobState, Media, Priority, model_of
from workers.jobs.messages import new_message_id
from workers.jobs.pictures import picture_of
from workers.jobs.places import places_of
from workers.jobs.records import fields_of, is_visible, readable_job
from workers.jobs.removal import TENANT
from workers.jobs.walk import Only, Walk

#: Of a page of a list: how long its records may be together, beyond the first of them.
PAGE_CHARACTERS = 1 << 20
#: How many of them are read at a time, so that never much more than a page is held.
READ_AT_A_TIME = 10


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many jobs of one model may wait, how many of them may be of one tenant, and what these may cost together
    (`cost.py`; 0 for anything)."""

    queued: int = 5000
    queued_of_tenant: int = 1000
    cost_of_tenant: int = 0


#: Until a job of a model starts, of a tenant where one is named, so that there is room; None where that is not known.
NextStart = Callable[[str, str | None], float | None]


class Jobs:
    """The jobs of a Redis (6.2 or newer). Safe to share between threads.

    `retention_seconds` is how long a job is kept once it ended, and `retention_of` has that of single tenants, for what
    they submit from now on. `next_start` tells a client that is refused when to come again. Every method raises
    `QueueUnavailable` when Redis cannot be reached or refuses. A job whose record cannot be read is a failed one here,
    with the error `records.UNREADABLE`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        retention_seconds: float = 86_400.0,
        retention_of: Mapping[str, float] = MappingProxyType({}),
        limits: QueueLimits | None = None,
        next_start: NextStart = lambda model, tenant: None,
    ) -> None:
        self._connection, self._next_start = connection, next_start
        self._limits = limits or QueueLimits()
        self._retention_seconds, self._retention_of = retention_seconds, retention_of

    def reserve(
        self, job: JobKey, idempotency_key: str, fingerprint: str, ttl_seconds: int, *, gone: JobKey | None = None
    ) -> JobKey:
        """The job that belongs to an idempotency key: the first caller's, so `job` itself if this is the first.

        gone: a job that is deleted: it gives the key up to `job`. Raises `IdempotencyConflict` when the first came with
        another fingerprint. The key lies in another hash slot than the job; a crash between `reserve` and `submit` is
        healed by the client's retry, which gets the same id.
        """
        key, lost = keys.idempotency(job.tenant, idempotency_key), gone.job_id if gone else ""
        reserve = scripts.Reserve(key, fingerprint, job.job_id, ttl_seconds, lost)
        first_fingerprint, first_id = self._connection.run(reserve)
        if first_fingerprint != fingerprint:
            raise IdempotencyConflict("Idempotency-Key", "this Idempotency-Key was used with another request body")
        return JobKey(job.tenant, first_id)

    def reserved(self, tenant: str, idempotency_key: str, fingerprint: str) -> JobKey | None:
        """The job that an idempotency key belongs to already, which may not have been submitted yet, or be gone.

        Raises `IdempotencyConflict` as `reserve` does.
        """
        with self._connection.asking():
            held = self._connection.commands.get(keys.idempotency(tenant, idempotency_key))
        if held is None:
            return None
        first_fingerprint, first_id = from_json(str(held))
        if first_fingerprint != fingerprint:
            raise IdempotencyConflict("Idempotency-Key", "this Idempotency-Key was used with another request body")
        return JobKey(tenant, first_id)

    def remember(self, job: JobKey, fingerprint: str, ttl_seconds: int) -> None:
        """Keep which job the last request with this fingerprint makes, for a retry of it."""
        with self._connection.asking():
            self._connection.commands.set(keys.attempt_at(job.tenant, fingerprint), job.job_id, ex=ttl_seconds)

    def remembered(self, tenant: str, fingerprint: str) -> JobKey | None:
        """The job of the last request with this fingerprint, which may not have been submitted yet, or be gone."""
        with self._connection.asking():
            job_id = self._connection.commands.get(keys.attempt_at(tenant, fingerprint))
        return JobKey(tenant, str(job_id)) if job_id else None

    def submit(
        self,
        job: JobKey,
        *,
        priority: Priority,
        request: GenerationRequest,
        metadata: dict[str, str],
        webhook_url: str | None = None,
        remixed_from: str | None = None,
        deadline_seconds: float | None = None,
        shares: bool = False,
        result_of: str | None = None,
    ) -> Job:
        """Accept a job. Idempotent: a second submission of `job` returns the job as it stands.

        webhook_url: a receiver that is told when the job has ended. remixed_from: id of the job whose settings it has.
        deadline_seconds: from now on; a job that has not ended then fails.
        shares: whether it may be computed together with an identical job of the tenant that has not ended; then
        `result_of` of the job is that one's id. result_of: a completed one of `FinishedJobs.like`; while that is kept,
        the job has its result at once.
        Raises `QueueFull`, and `InvalidRequest` for a tenant under whose name no file could be kept.
        """
        if not TENANT.fullmatch(job.tenant):
            raise InvalidRequest("tenant", f"tenant {job.tenant!r} must be of letters, digits, '.', '_' and '-'")
        root, limits = keys.root_of(job.job_id), self._limits
        message = (new_message_id(model_of(job.job_id) or ""), webhook_url) if webhook_url else ("", "")
        submit = scripts.Submit(
            root,
            job.job_id,
            job.tenant,
            priority,
            request.model_dump_json(),
            json.dumps(metadata),
            "" if deadline_seconds is None else deadline_seconds,
            limits.queued,
            limits.queued_of_tenant,
            limits.cost_of_tenant,
            *message,
            remixed_from or "",
            "1" if shares else "",
            self._retention_of.get(job.tenant, ""),
            result_of or "",
            self._retention_seconds,
        )
        record, refusal = self._connection.run(submit)
        if not refusal:
            return _visible(record, job)
        limit, passed = refusal
        why = {
            "model": f"{limits.queued} jobs wait for {request.model}, which is the most that may",
            "tenant": f"{limits.queued_of_tenant} jobs of yours wait for {request.model}, which is the most that may",
            "cost": f"with this one, which costs {cost_of(request)}, your jobs that wait for {request.model} would "
            f"cost more than {limits.cost_of_tenant} together",
        }[limit]
        seconds = self._until_next_start(request.model, None if limit == "model" else job.tenant)
        raise QueueFull(f"{why}; try again later", float(passed) if seconds is None else seconds)

    def _until_next_start(self, model: str, tenant: str | None) -> float | None:
        """None also where Redis does not say it any more: that the job is refused is known."""
        try:
            return self._next_start(model, tenant)
        except QueueUnavailable:
            return None

    def end_overdue(self, model: str) -> list[str]:
        """End the queued jobs whose deadline is over, at most 100 a call, as `failed`; gives their ids."""
        return self._connection.run(scripts.Overdue(keys.root(model), self._retention_seconds))

    def get(self, job: JobKey) -> Job:
        """The job as it stands. Raises `JobNotFound`, for another tenant's job as for none: same words, same work."""
        get = scripts.Get(keys.root_of(job.job_id), job.job_id, job.tenant)
        return _visible(self._connection.run(get), job)

    def preview(self, job: JobKey) -> tuple[int, str] | None:
        """What a running job looks as if it will become: after how many steps, and a WebP in base64. None without one,
        and for another tenant's job."""
        return picture_of(self._connection, job)

    def places(self, model: str) -> dict[str, int]:
        """Of each job of a model that waits, of any tenant, how many will start before it."""
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for lane in keys.LANES:
                pipeline.zrange(keys.queued(model, lane), 0, -1)
            lanes = pipeline.execute()
        return {job_id: place for place, job_id in enumerate(chain.from_iterable(lanes))}

    def ended_since(self, tenant: str, models: Iterable[str], since: float, limit: int) -> list[Job]:
        """The tenant's jobs that ended at a Unix second or later and are kept, the last `limit` of each model."""
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for model in models:
                for key in keys.ended(model, tenant):
                    pipeline.zrange(key, "+inf", since, desc=True, byscore=True, offset=0, num=limit)
            ids = [job_id for page in pipeline.execute() for job_id in page]
        records = _records(self._connection, ids)
        return [readable_job(record, job_id, tenant) for job_id, record in records if is_visible(record, tenant)]

    def list(
        self,
        tenant: str,
        models: Iterable[str],
        *,
        after: str | None,
        limit: int,
        ascending: bool,
        media: Media | None = None,
        only: Only | None = None,
    ) -> tuple[list[Job], bool]:
        """A page of the tenant's jobs by creation then id, starting behind the job `after`; and whether more follow.

        only: which of them, by state and metadata. A page is shorter than `limit` where its jobs are large, and empty
        only where none follows. Raises `InvalidRequest` when `after` is no job of the tenant's, nor was one within the
        last hour.
        """
        start = self._position_in_time(after, tenant) if after else None
        walk = Walk(self._connection, tenant, tuple(models), ascending)
        jobs: list[Job] = []
        size = 0
        for job_id, record in _read(self._connection, walk.ids(start, limit + 1, media, only), limit + 1):
            if not is_visible(record, tenant):
                continue  # It expired, and is listed until the sweep.
            size += sum(map(len, record.values()))
            if len(jobs) == limit or (jobs and size > PAGE_CHARACTERS):
                return jobs, True
            jobs.append(readable_job(record, job_id, tenant))
        return jobs, False

    def cancel(self, job: JobKey) -> Job:
        """Cancel a job: a queued one at once; a running one gets `cancel_requested` and will end `cancelled`, whatever
        its worker reports; a finished one stays as it is. Raises `JobNotFound`."""
        cancel = scripts.Cancel(keys.root_of(job.job_id), job.job_id, job.tenant, self._retention_seconds)
        return _visible(self._connection.run(cancel), job)

    def delete(self, job: JobKey) -> bool:
        """Make the job disappear for its tenant, prompt included. A running one is cancelled and purged when its
        attempt ends. The workers' sweep deletes its files. Returns whether they may go now: not where others have the
        same result. Raises `JobNotFound`."""
        deleted = self._connection.run(scripts.Delete(keys.root_of(job.job_id), job.job_id, job.tenant))
        if not deleted:
            raise _not_found(job)
        return deleted == 1

    def position(self, job: Job) -> int | None:
        """How many jobs of the model will start before this one; None unless it is queued."""
        return self.positions([job]).get(job.id)

    def positions(self, jobs: Iterable[Job]) -> dict[str, int]:
        """The same of many, by id, of those that are queued."""
        return places_of(self._connection, [job for job in jobs if job.state is JobState.QUEUED])

    def _position_in_time(self, job_id: str, tenant: str) -> tuple[float, str]:
        """Of a job in the tenant's list, or of one that left it within the hour: clients delete what they list."""
        if model := model_of(job_id):
            with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
                pipeline.zscore(keys.tenant_jobs(model, tenant), job_id)
                pipeline.zscore(keys.places(model, tenant), job_id)
                score, place = pipeline.execute()
            if score is not None or place is not None:
                return float(place if score is None else score), job_id
        raise InvalidRequest(
            "after", f"after {job_id!r} must be the id of one of your jobs, or of one deleted within the hour"
        )


def _read(connection: Connection, ids: Iterator[str], count: int) -> Iterator[tuple[str, dict[str, str]]]:
    size = count % READ_AT_A_TIME or READ_AT_A_TIME  # The odd ones first: where `count` are wanted, no more are read.
    while some := list(islice(ids, size)):
        yield from _records(connection, some)
        size = READ_AT_A_TIME


def _records(connection: Connection, ids: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    with connection.asking(), connection.commands.pipeline(transaction=False) as pipeline:
        for job_id in ids:
            pipeline.hgetall(keys.job(job_id))
            pipeline.hgetall(keys.steps(job_id))
        hashes = pipeline.execute()
        return [(job_id, hashes[2 * i] | hashes[2 * i + 1]) for i, job_id in enumerate(ids)]


def _visible(record: scripts.Record | Mapping[str, str], job: JobKey) -> Job:
    fields = fields_of(record)
    if not is_visible(fields, job.tenant):
        raise _not_found(job)
    return readable_job(fields, job.job_id, job.tenant)


def _not_found(job: JobKey) -> JobNotFound:
    return JobNotFound(f"there is no job {job.job_id!r}")
