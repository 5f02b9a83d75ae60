"""A model's queue as it stands: what waits in which order, what runs, and what each of these asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from workers.jobs import keys, scripts
from workers.jobs.connection import Connection
from workers.jobs.cost import cost_of
from workers.jobs.job import GenerationRequest, Job, JobState, model_of
from workers.jobs.order import Lane, Line, Waiting
from workers.jobs.records import readable_job

#: Of a model's jobs that wait, how many are looked at one by one.
LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """At a Unix second by Redis's clock. requests: of the jobs in `line`; one that cannot be read is left out there."""

    now: float
    line: Line
    requests: Mapping[str, GenerationRequest]
    running: Sequence[Job]


class Lines:
    """Reads only, over all tenants. What a job asks for never changes, so it is read once while the job waits among the
    first. Every method raises `QueueUnavailable`. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._requests: dict[str, dict[str, GenerationRequest]] = {}

    def of(self, model: str, tenant: str = "") -> Standing:
        """The model's. tenant: one whose next job is to be placed."""
        said = from_json(self._connection.run(scripts.Line(keys.root(model), LOOKED_AT, tenant)))
        lanes = dict(zip(keys.LANES, said["lanes"], strict=True))
        ids = [job[0] for lane in lanes.values() for job in lane["jobs"]]
        requests = self._read(model, ids)
        line = Line({name: _lane(lane, requests) for name, lane in lanes.items()})
        return Standing(float(said["now"]), line, requests, self._running(said["running"]))

    def _read(self, model: str, ids: Sequence[str]) -> dict[str, GenerationRequest]:
        known = self._requests.get(model, {})
        new = [job_id for job_id in ids if job_id not in known and model_of(job_id)]
        if new:
            with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
                for job_id in new:
                    pipeline.hget(keys.job(job_id), "request")
                known = known | dict(_readable(zip(new, pipeline.execute(), strict=True)))
        found = {job_id: known[job_id] for job_id in ids if job_id in known}
        self._requests[model] = found
        return found

    def _running(self, ids: Iterable[str]) -> list[Job]:
        ids = [job_id for job_id in ids if model_of(job_id)]
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for job_id in ids:
                pipeline.hgetall(keys.job(job_id))
                pipeline.hgetall(keys.steps(job_id))
            hashes = pipeline.execute()
        records = [hashes[2 * i] | hashes[2 * i + 1] for i in range(len(ids))]
        jobs = [readable_job(each, job_id, each.get("tenant", "")) for job_id, each in zip(ids, records, strict=True)]
        return [job for job in jobs if job.state is JobState.RUNNING]


def _readable(texts: Iterable[tuple[str, str | None]]) -> Iterable[tuple[str, GenerationRequest]]:
    for job_id, text in texts:
        try:
            yield job_id, GenerationRequest.model_validate_json(text or "")
        except ValidationError:
            continue


def _lane(said: dict[str, Any], requests: Mapping[str, GenerationRequest]) -> Lane:
    jobs = [
        Waiting(
            turn=float(turn),
            job_id=job_id,
            tenant=tenant,
            cost=cost_of(requests[job_id]) if job_id in requests else 1,
            since=float(since or 0),
            deadline_at=float(deadline) if deadline else None,
        )
        for job_id, turn, since, tenant, deadline in said["jobs"]
    ]
    turns = list(said["turns"])
    owed = {tenant: float(turn) for tenant, turn in zip(turns[::2], turns[1::2], strict=True)}
    served = float(said["served"]) if said["served"] else None
    return Lane(jobs, served, owed, int(said["count"]), int(said["behind"]))
