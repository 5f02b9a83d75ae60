"""The Lua scripts of completed jobs that an idle worker runs again, see `reruns.py`."""

from dataclasses import dataclass

from workers.jobs.scripts import ModelScript, Record


@dataclass(frozen=True, slots=True)
class Offer(ModelScript[int]):
    """list: of `reruns.py`. most: that wait in it. Answers with 0 for a job that is not completed."""

    job_id: str
    list: str
    most: int
    kept_seconds: int


@dataclass(frozen=True, slots=True)
class Take(ModelScript[tuple[Record, int]]):
    """Answers with a job's record, or with an empty one; and with how many were dropped before it."""

    list: str
    token: str
    lease_seconds: float
    most_tries: int
    kept_seconds: int


@dataclass(frozen=True, slots=True)
class Hold(ModelScript[int]):
    """seconds: 0 gives it back, an empty text ends it. Answers with 0 where it is not this token's, or the job gone."""

    job_id: str
    list: str
    token: str
    seconds: str
