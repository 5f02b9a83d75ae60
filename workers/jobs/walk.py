"""A walk through a tenant's jobs, in the order of their creation over all models."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pydantic_core import from_json

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.job import JobState, Media, model_of
from workers.jobs.records import is_visible

#: Whether a job is wanted, by its state and its metadata.
Only = Callable[[JobState, Mapping[str, str]], bool]
#: When a job was made, and its id.
Place = tuple[float, str]

#: How many jobs are looked at together where not all are wanted.
LOOKED_AT = 200
_FIELDS = ("state", "metadata", "tenant", "deleted")


@dataclass(frozen=True, slots=True)
class Walk:
    """The tenant's jobs of some models, from the newest or from the oldest on."""

    connection: Connection
    tenant: str
    models: tuple[str, ...]
    ascending: bool

    def ids(self, start: Place | None, count: int, media: Media | None, only: Only | None) -> Iterator[str]:
        """Those that are wanted, behind `start`; read as they are asked for, of which there will be `count` or more.
        Looks at all that there are, if need be: a tenant keeps so many of a model, and no more. Without `only` some may
        have no record any more. Raises `QueueUnavailable`."""
        for chunk in self._chunks(start, count if only is None else max(count, LOOKED_AT)):
            # Of a model that is not served any more nobody else knows what it made: its ids do.
            ids = [name for _, name in chunk if name.startswith(f"{media}_" if media else "") and model_of(name)]
            yield from ids if only is None else self._wanted(ids, only)

    def _wanted(self, ids: list[str], only: Only) -> list[str]:
        with self.connection.asking(), self.connection.commands.pipeline(transaction=False) as pipeline:
            for job_id in ids:
                pipeline.hmget(keys.job(job_id), _FIELDS)
            records = pipeline.execute()
        named = ({name: text for name, text in zip(_FIELDS, record, strict=True) if text} for record in records)
        return [
            job_id
            for job_id, record in zip(ids, named, strict=True)
            if is_visible(record, self.tenant) and only(_state(record), _metadata(record))
        ]

    def _chunks(self, start: Place | None, size: int) -> Iterator[list[Place]]:
        while places := self._places(start, size):
            yield places[:size]
            if len(places) <= size:
                return
            start, size = places[size - 1], max(size, LOOKED_AT)

    def _places(self, start: Place | None, limit: int) -> list[Place]:
        """Behind `start`, in order; a few more than `limit` if there are more."""
        first = start[0] if start else ("-inf" if self.ascending else "+inf")
        with self.connection.asking(), self.connection.commands.pipeline(transaction=False) as pipeline:
            for model in self.models:
                pipeline.zrange(
                    keys.tenant_jobs(model, self.tenant),
                    first,  # a score, not an index, because of byscore
                    "+inf" if self.ascending else "-inf",
                    byscore=True,
                    desc=not self.ascending,
                    offset=0,
                    num=limit + 5,  # `start` itself, one to see whether there are more, any of the same microsecond
                    withscores=True,
                )
            places = [(score, job_id) for page in pipeline.execute() for job_id, score in page]
        places.sort(reverse=not self.ascending)
        return [place for place in places if start is None or (place > start if self.ascending else place < start)]


def _state(record: Mapping[str, str]) -> JobState:
    """A state of another version is a failed job, as in `records.readable_job`."""
    try:
        return JobState(record.get("state", ""))
    except ValueError:
        return JobState.FAILED


def _metadata(record: Mapping[str, str]) -> Mapping[str, str]:
    try:
        metadata = from_json(record.get("metadata", "{}"))
    except ValueError:
        return {}
    return metadata if isinstance(metadata, dict) else {}
