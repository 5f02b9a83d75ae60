"""What an operator wants to know of the queue: how much waits and runs, what failed, whether it is safe."""

import math
from dataclasses import dataclass
from typing import Any

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection
from workers.jobs.job import Job, JobState, Priority, model_of
from workers.jobs.records import readable_job


@dataclass(frozen=True, slots=True)
class Depth:
    """A model's load: jobs waiting, jobs running, and how long the first in line has waited (0 when none does)."""

    queued: int
    running: int
    oldest_seconds: float


class Inspection:
    """Reads only, over all tenants. Every method raises `QueueUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def depth(self, model: str) -> Depth:
        """How much work a model has."""
        queued, running, oldest = self._connection.run(scripts.Depth(keys.root(model)))
        return Depth(queued, running, float(oldest))

    def running(self, model: str) -> list[Job]:
        """The model's running jobs, the one whose lease ends first at the start."""
        with self._connection.asking():
            ids: list[Any] = self._connection.commands.zrange(keys.leases(model), 0, -1)
        return [job for job in self._jobs(ids) if job.state is JobState.RUNNING]

    def last_failures(self, model: str, limit: int) -> list[Job]:
        """The model's jobs that ended failed or dead last, newest first, as far as they are still kept."""
        jobs = self._jobs([*self._last(keys.last_failed(model)), *self._last(keys.last_completed(model))])
        failed = [job for job in jobs if job.state in (JobState.FAILED, JobState.DEAD)]  # also what cannot be read
        return sorted(failed, key=lambda job: job.completed_at or 0.0, reverse=True)[:limit]

    def last_completed(self, model: str, limit: int) -> list[Job]:
        """The model's jobs that were run and completed last, newest first, as far as they are still kept."""
        jobs = self._jobs(self._last(keys.last_completed(model))[:limit])
        return [job for job in jobs if job.state is JobState.COMPLETED and job.report is not None]

    def waiting(self, model: str, priority: Priority, tenant: str) -> int:
        """How many of the model's jobs start before a new one of this priority and tenant."""
        with self._connection.asking():
            known: list[Any] = self._connection.commands.hmget(keys.turns(model, priority), ["", tenant, "#"])
            served, own, count = (float(text or 0) for text in known)
            turn = max(served, own) + (count + 1) / 1e9 if known[0] else math.inf  # as in `common.lua`
            with self._connection.commands.pipeline(transaction=False) as pipeline:
                for lane in keys.LANES[: keys.LANES.index(priority)]:
                    pipeline.zcard(keys.queued(model, lane))
                pipeline.zcount(keys.queued(model, priority), "-inf", turn)
                return sum(pipeline.execute())

    def dead_letters(self, model: str) -> int:
        """How many jobs the model's dead-letter stream keeps."""
        with self._connection.asking():
            return int(self._connection.commands.xlen(keys.dead(model)))

    def set_aside(self, model: str) -> int:
        """How many entries that no job belongs to were taken out of the model's queue and are kept."""
        with self._connection.asking():
            return int(self._connection.commands.xlen(keys.aside(model)))

    def persisting(self) -> bool:
        """Whether Redis writes its append-only file, and the last write succeeded."""
        with self._connection.asking():
            persistence: dict[str, Any] = self._connection.commands.info("persistence")
        return persistence.get("aof_enabled") == 1 and persistence.get("aof_last_write_status") == "ok"

    def _last(self, ended: keys.Key) -> list[str]:
        """The ids of jobs that have ended, newest first."""
        with self._connection.asking():
            ids: list[Any] = self._connection.commands.zrange(ended, 0, -1, desc=True)
        return ids

    def _jobs(self, ids: list[str]) -> list[Job]:
        """Records may be gone since they were listed."""
        ids = [job_id for job_id in ids if model_of(job_id)]
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for job_id in ids:
                pipeline.hgetall(keys.job(job_id))
            records = pipeline.execute()
        return [
            readable_job(record, job_id, record.get("tenant", ""))
            for job_id, record in zip(ids, records, strict=True)
            if record and "deleted" not in record
        ]
