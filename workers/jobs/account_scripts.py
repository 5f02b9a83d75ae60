"""The scripts on what an account has: its API keys, and the submissions that it has left."""

from dataclasses import dataclass
from typing import Literal

from workers.jobs.keys import Key
from workers.jobs.scripts import Script


@dataclass(frozen=True, slots=True)
class Spend(Script[tuple[int, int, str]]):
    """Answers with 1 or 0, tokens left, seconds until there are enough again."""

    bucket: Key
    tokens_a_second: float
    most: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Issue(Script[Literal["ok", "many", "gone"]]):
    """most: how many keys the account may have live. replaced: id of a key, or empty."""

    root: Key
    key_id: str
    account: str
    scopes: str
    digest: str
    most: int
    replaced: str
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class Revoke(Script[int]):
    """Answers with 0 where there is no such key."""

    root: Key
    key_id: str


@dataclass(frozen=True, slots=True)
class Used(Script[None]):
    """seconds: how often it is noted at most."""

    record: Key
    seconds: int
