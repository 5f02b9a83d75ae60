"""What happens to a job, told as it happens: each job has a stream of events that the scripts write and this reads."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import redis.asyncio
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import from_json
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from workers.jobs import keys
from workers.jobs.connection import MAX_BLOCK_SECONDS, redis_errors
from workers.jobs.frozen import Frozen
from workers.jobs.job import JobState, Misprediction, Stage

#: Before the first event of any job.
START = "0-0"
#: How many reads may wait at a time in one process, each on a connection of its own.
MAX_READERS = 1000


def _read_json(value: object) -> object:
    return from_json(value) if isinstance(value, str) else value


class JobEvent(Frozen):
    """One event. `id` is that of its entry, rises within a job, and is where a reader goes on from.

    type: `state`, with the state that the job is in now; `stage`, with the stage that has begun; `step`, with how many
    denoising steps are done; `cancel_requested`, with the state, which stays until the worker has stopped; `unknown`,
    of an event that this version cannot read. Those who watch are also told of what is not kept: that there is another
    `preview`, after how many steps, and that a job was `deleted`.

    Of a `step`: `decisions` has a letter for each step since the event before, `full_steps` says how many were computed
    in full in all, `full_step_seconds` their mean time, and `mispredictions` what the latest of them have shown.
    """

    id: str
    job_id: str
    type: Literal["state", "stage", "step", "cancel_requested", "preview", "deleted", "unknown"]
    state: JobState | None = None
    stage: Stage | None = None
    step: int | None = None
    decisions: str = ""
    full_steps: int | None = None
    full_step_seconds: float | None = None
    mispredictions: Annotated[list[Misprediction], BeforeValidator(_read_json)] = Field(default_factory=list)

    @property
    def ends_job(self) -> bool:
        """Whether the job is in a terminal state: no event follows."""
        return self.type == "state" and self.state is not None and self.state.terminal


class Events:
    """Reads events for a program with an event loop: who waits holds a connection, but no thread.

    A job's story begins with its first start. About 200 events are kept, until a day after the last one, until some
    seconds after the job has ended, or until it is deleted. The job's record is the truth: where a read brings nothing,
    it says whether anything can still come.
    """

    def __init__(self, redis_url: str, *, max_readers: int = MAX_READERS) -> None:
        self._reads = redis.asyncio.Redis.from_url(
            redis_url,
            decode_responses=True,
            encoding_errors="replace",
            max_connections=max_readers,
            socket_timeout=MAX_BLOCK_SECONDS + 10.0,
            socket_connect_timeout=2.0,
            health_check_interval=15,
            retry=Retry(
                ExponentialWithJitterBackoff(base=0.05, cap=1.0),
                3,
                supported_errors=(redis.exceptions.ConnectionError,),
            ),
        )

    async def read(self, after: Mapping[str, str], timeout_seconds: float = math.inf) -> list[JobEvent]:
        """The events of some jobs of one model, each job's in order; waits for the first of them.

        after: for each job id the id of the last event that is known, or `START`. Nothing is lost between two reads.
        Empty when nothing came within `timeout_seconds`, and after `MAX_BLOCK_SECONDS` at the latest. Raises
        `QueueUnavailable`, also at once where too many wait already, and `JobNotFound` for an id that cannot be one of
        ours.
        """
        streams = {keys.events(job_id): job_id for job_id in after}
        positions: dict[Any, Any] = {stream: after[job_id] for stream, job_id in streams.items()}
        block = max(1, int(1000 * min(timeout_seconds, MAX_BLOCK_SECONDS)))
        with redis_errors():
            reply: Any = await self._reads.xread(positions, block=block)
        return [_event(entry_id, streams[stream], fields) for stream, entries in reply for entry_id, fields in entries]

    async def history(self, job_id: str, after: str) -> list[JobEvent]:
        """What is kept of a job's events behind `after`, in order, without waiting. Raises as `read`."""
        with redis_errors():
            entries: Any = await self._reads.xrange(keys.events(job_id), min=f"({after}")
        return [_event(entry_id, job_id, fields) for entry_id, fields in entries]

    async def last(self, job_id: str) -> str:
        """The id of a job's last event that is kept; `START` without any. Raises as `read`."""
        with redis_errors():
            entries: Any = await self._reads.xrevrange(keys.events(job_id), count=1)
        return entries[0][0] if entries else START

    async def moment(self) -> str:
        """An id behind those of all events so far but for the last millisecond's. Raises `QueueUnavailable`."""
        with redis_errors():
            seconds, microseconds = await self._reads.time()
        return f"{seconds * 1000 + microseconds // 1000 - 1}-0"

    async def close(self) -> None:
        """Close the connections."""
        await self._reads.aclose()


def _event(entry_id: str, job_id: str, fields: Mapping[str, str]) -> JobEvent:
    """Its place is known also where it says what another version means: reading goes on behind it."""
    try:
        return JobEvent.model_validate({**fields, "id": entry_id, "job_id": job_id})
    except ValidationError:
        return JobEvent(id=entry_id, job_id=job_id, type="unknown")
