"""The Lua scripts on messages that jobs have ended, as typed calls."""

from dataclasses import dataclass
from typing import Literal

from workers.jobs.scripts import ModelScript, Record


@dataclass(frozen=True, slots=True)
class Dispatch(ModelScript[list[Record]]):
    """most, most_of_lane, most_of_tenant: how many in all. under_way: as JSON. Answers with the records of messages."""

    token: str
    lease_seconds: float
    most: int
    most_of_lane: int
    most_of_tenant: int
    under_way: str


@dataclass(frozen=True, slots=True)
class Report(ModelScript[int]):
    """delay_seconds: until the next attempt, where there is one. outcome: field, value, field, value, ...
    Answers with 0 where the message is not this sender's any more."""

    message: str
    token: str
    state: Literal["pending", "released", "delivered", "failed"]
    delay_seconds: float
    outcome: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Redeliver(ModelScript[Record]):
    """Answers with the message's record, an empty one where the tenant has none."""

    message: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Backlog(ModelScript[tuple[int, str, str]]):
    """Answers with messages pending, seconds since the oldest was made, seconds that one has been due."""
