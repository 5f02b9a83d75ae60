"""In which order and on which side a participant sees the pairs: at random, and the same whenever they come back."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from workers.jobs.errors import JobNotFound

Choice = Literal["left", "right", "no_difference"]
Side = Literal["left", "right"]
#: What is kept: a choice without its side.
Chosen = Literal["first", "second", "neither"]

_BALLOT = re.compile(r"[0-9a-f]{16}")
_OTHER: Mapping[Chosen, Chosen] = {"first": "second", "second": "first", "neither": "neither"}
_UNTURNED: Mapping[Choice, Chosen] = {"left": "first", "right": "second", "no_difference": "neither"}


class BallotNotFound(JobNotFound):
    """There is no such ballot, or it has no such pair."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a participant sees a pair.

    pair: its index in the study. turned: whether its first result is on the right.
    """

    pair: int
    turned: bool

    def chosen(self, choice: Choice) -> Chosen:
        """A choice without its side."""
        chosen = _UNTURNED[choice]
        return _OTHER[chosen] if self.turned else chosen

    def choice(self, chosen: Chosen) -> Choice:
        """The reverse of `chosen`."""
        return next(choice for choice in _UNTURNED if self.chosen(choice) == chosen)

    def is_first(self, side: Side) -> bool:
        """Whether the pair's first result is on this side."""
        return (side == "left") is not self.turned


def new_ballot() -> str:
    """The id of a ballot. Order and sides follow from it, so nothing of it is kept before the first vote."""
    return secrets.token_hex(8)


def places(study_id: str, ballot: str, pairs: int) -> list[Place]:
    """All pairs in the order of this ballot. Raises `BallotNotFound`."""
    if not _BALLOT.fullmatch(ballot):
        raise BallotNotFound(f"there is no ballot {ballot[:80]!r}; POST /v1/ballots makes one")
    digests = [hashlib.sha256(f"{study_id}\n{ballot}\n{pair}".encode()).digest() for pair in range(pairs)]
    return [Place(pair, bool(digests[pair][-1] & 1)) for pair in sorted(range(pairs), key=digests.__getitem__)]


def place_at(found: list[Place], position: int) -> Place:
    """position: from 1. Raises `BallotNotFound`."""
    if not 1 <= position <= len(found):
        raise BallotNotFound(f"there is no pair {position}; allowed: 1 to {len(found)}")
    return found[position - 1]


def open_positions(found: Iterable[Place], voted: Iterable[int]) -> list[int]:
    """Those that are still to be voted on, in their order. voted: indices of pairs."""
    done = set(voted)
    return [position for position, place in enumerate(found, 1) if place.pair not in done]
