"""The Lua scripts as typed calls: a class is a script, an instance one call of it with its keys and arguments.

What a script does, and what its reply means, stands at the top of its `.lua` file.
"""

from dataclasses import dataclass, fields
from importlib.resources import files
from typing import ClassVar, Generic, Literal, TypeVar

from workers.jobs.job import Priority
from workers.jobs.keys import Key

Reply = TypeVar("Reply")

#: A hash as a script returns it: field, value, field, value, ...
Record = list[str]


@dataclass(frozen=True, slots=True)
class Script(Generic[Reply]):
    """A call of the script in the file of its class's name, in lower case.

    Fields of type `Key` are its KEYS, the others its ARGV, both in the order of the fields.
    """

    #: Files that are put before the script's own.
    prelude: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def text(cls) -> str:
        """The script's source."""
        folder = files("workers.jobs")
        return "".join((folder / f"{name}.lua").read_text() for name in (*cls.prelude, cls.__name__.lower()))

    def keys(self) -> list[Key]:
        """KEYS."""
        return [getattr(self, field.name) for field in fields(self) if field.type is Key]

    def arguments(self) -> list[str]:
        """ARGV: everything as text, an enum by its value, the items of a tuple one after the other."""
        values = [getattr(self, field.name) for field in fields(self) if field.type is not Key]
        return [str(item) for value in values for item in (value if isinstance(value, tuple) else (value,))]


@dataclass(frozen=True, slots=True)
class ModelScript(Script[Reply]):
    """A script on one model's keys, all of which begin with `root`."""

    prelude: ClassVar[tuple[str, ...]] = ("common", "outbox", "sharing", "ending")

    root: Key


@dataclass(frozen=True, slots=True)
class Submit(ModelScript[tuple[Record, list[str]]]):
    """request, metadata: as JSON. deadline_seconds: from now, or empty. most_queued, most_of_tenant: how many jobs of
    the model, and of the tenant, may wait. most_cost_of_tenant: what these may cost together, 0 for anything.
    webhook_id, webhook_url: empty where nobody is to be told of the job's end. remixed_from: empty for most.
    shares: whether it may be computed together with an identical one, empty where not. retention_seconds: once it has
    ended, empty where nothing is said of its tenant. result_of: a job whose result it is to have, empty for none.
    Answers with the record, or with an empty one, which limit was reached and the seconds until there is room."""

    job_id: str
    tenant: str
    priority: Priority
    request: str
    metadata: str
    deadline_seconds: float | str
    most_queued: int
    most_of_tenant: int
    most_cost_of_tenant: int
    webhook_id: str
    webhook_url: str
    remixed_from: str
    shares: str
    retention_seconds: float | str
    result_of: str
    usual_retention_seconds: float


@dataclass(frozen=True, slots=True)
class Get(ModelScript[Record]):
    """Answers with the record, an empty one when the tenant has no such job."""

    job_id: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Claim(ModelScript[tuple[Record, list[str], list[str]]]):
    """foresees: whether the worker can say how long a job takes, empty where not. job_id, least_seconds: what it says
    of a job, both empty before it was asked; seconds empty where it does not know. fastest: of these it is tried in.
    Answers with the job's record, or with an empty one and the last entry id of each lane's stream; or with neither but
    id and request of a job that it is asked of, or the id of one that could not end in time and has failed."""

    token: str
    worker: str
    lease_seconds: float
    most_running_of_tenant: int
    devices: int
    retention_seconds: float
    foresees: str
    job_id: str
    least_seconds: float | str
    fastest: float


@dataclass(frozen=True, slots=True)
class Beat(ModelScript[str]):
    """stage: empty where it did not change. step: how many steps are done. decisions: a letter for each of them, or
    empty. mispredictions: as JSON. full_step_seconds: the mean so far. Answers with a `BeatReply`."""

    job_id: str
    token: str
    lease_seconds: float
    stage: str
    step: int
    decisions: str
    mispredictions: str
    full_step_seconds: float


@dataclass(frozen=True, slots=True)
class Show(ModelScript[int]):
    """picture: in base64. Answers with 0 where the job is not this attempt's any more."""

    job_id: str
    token: str
    step: int
    picture: str


@dataclass(frozen=True, slots=True)
class Settle(ModelScript[tuple[str, str]]):
    """details: for `completed` artifact and report as JSON, the steps, full steps and cached steps, the run's kind and
    what is kept of its time, the version; for `failed` the error as JSON and how many attempts the job gets in all.
    Answers with the job's state afterwards and the seconds since it was created."""

    job_id: str
    token: str
    retention_seconds: float
    ending: Literal["completed", "failed", "cancelled", "released"]
    details: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Cancel(ModelScript[Record]):
    """Answers with the record, an empty one when the tenant has no such job."""

    job_id: str
    tenant: str
    retention_seconds: float


@dataclass(frozen=True, slots=True)
class Delete(ModelScript[int]):
    """Answers with 0 when the tenant has no such job, 2 where its file is the result of others too, else 1."""

    job_id: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Depth(ModelScript[tuple[int, int, str]]):
    """Answers with jobs queued, jobs running, seconds that the oldest waits."""


@dataclass(frozen=True, slots=True)
class Line(ModelScript[str]):
    """most: jobs that are told of. tenant: one whose turns are told too, or empty. Answers with JSON."""

    most: int
    tenant: str


@dataclass(frozen=True, slots=True)
class Reap(ModelScript[list[str]]):
    """error: as JSON. Answers with id, new state, id, new state, ..."""

    retention_seconds: float
    error: str
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Expired(ModelScript[list[str]]):
    """Answers with `<id>:<tenant>` of at most `limit` jobs."""

    limit: int


@dataclass(frozen=True, slots=True)
class Forget(ModelScript[None]):
    """Drops a record."""

    job_id: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Abandon(ModelScript[list[str]]):
    """error: as JSON. Answers with the ids of the queued jobs that were ended."""

    retention_seconds: float
    error: str


@dataclass(frozen=True, slots=True)
class Overdue(ModelScript[list[str]]):
    """Answers with the ids of the queued jobs that were ended."""

    retention_seconds: float


@dataclass(frozen=True, slots=True)
class Reserve(Script[tuple[str, str]]):
    """gone: id of a job that gives the key up, or empty. Answers with the fingerprint and the job id of the first call
    with this key."""

    idempotency: Key
    fingerprint: str
    job_id: str
    ttl_seconds: int
    gone: str


@dataclass(frozen=True, slots=True)
class Announce(Script[None]):
    """info: as JSON. ttl_seconds: 0 when the worker leaves."""

    beats: Key
    infos: Key
    name: str
    info: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Observe(Script[Literal["kept", "known", "full", "behind"]]):
    """request: a digest. known_seconds: how long a second observation of it is refused as `known`. Answers with `full`
    where the list already has `most` texts, with `behind` where it has not as many as `told`; -1 is any number."""

    list: Key
    requests: Key
    most: int
    kept_seconds: int
    request: str
    known_seconds: float
    observation: str
    told: int


@dataclass(frozen=True, slots=True)
class Hand(Script[None]):
    """A text for whoever waits at the list."""

    waited_at: Key
    handed: str
    kept_seconds: int


@dataclass(frozen=True, slots=True)
class Serve(Script[None]):
    """Notes that models are served."""

    models: Key
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unserved(Script[list[str]]):
    """Answers with the models that nobody has served for so long."""

    models: Key
    seconds: float


@dataclass(frozen=True, slots=True)
class Workers(Script[list[str]]):
    """Answers with name, info, seconds left, name, info, seconds left, ..."""

    beats: Key
    infos: Key
