"""Preference studies: what is compared, who was invited to judge it, and how they voted.

A study belongs to a tenant. An invitation is a capability: whoever has it sees the study's pairs and votes, and can do
nothing else. Redis has its digest, never itself.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.ballots import Chosen
from service.errors import InvalidInvitation, VotesFull
from service.pairing import Pair
from service.preference import Vote
from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.errors import InvalidRequest, JobNotFound
from workers.jobs.frozen import Frozen

#: Of a tenant at a time, and of a study in all: nobody may fill Redis.
MOST_STUDIES, MOST_INVITATIONS = 20, 10
_STUDY = re.compile(r"study_[0-9a-f]{32}")
_INVITATION = re.compile(r"scv_(?P<study>[0-9a-f]{32})_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_\-]{43})")


class StudyNotFound(JobNotFound):
    """There is no such study or invitation, or it belongs to another tenant."""


class Study(Frozen):
    """Times are Unix seconds. shown_until: when the first of its results expires."""

    id: str
    tenant: str
    name: str
    created_at: int
    expires_at: int
    shown_until: int
    pairs: list[Pair]


class Invitation(Frozen):
    """Times are Unix seconds. most_votes: of all who have it, together. digest: of its secret."""

    id: str
    created_at: int
    expires_at: int
    most_votes: int
    revoked: bool = False
    digest: str


class Studies:
    """The studies of a Redis. Safe to share between threads. Every method raises `QueueUnavailable`.

    kept_seconds: how long a study and its votes are kept.
    """

    def __init__(self, connection: Connection, kept_seconds: int) -> None:
        self._connection, self._kept_seconds = connection, kept_seconds

    def create(self, tenant: str, name: str, pairs: Sequence[Pair], shown_until: int, now: int) -> Study:
        """A new study. Raises `InvalidRequest` where there are as many as there may be."""
        study = Study(
            id=f"study_{secrets.token_hex(16)}",
            tenant=tenant,
            name=name,
            created_at=now,
            expires_at=now + self._kept_seconds,
            shown_until=shown_until,
            pairs=list(pairs),
        )
        listed, commands = keys.studies_of(tenant), self._connection.commands
        with self._connection.asking(), commands.pipeline(transaction=False) as pipeline:
            pipeline.set(keys.study(study.id), study.model_dump_json(), exat=study.expires_at)
            pipeline.zremrangebyscore(listed, "-inf", now)
            pipeline.zadd(listed, {study.id: study.expires_at})
            pipeline.expireat(listed, study.expires_at)
            # Counted afterwards: of two calls at a time both see too many, none makes one too many.
            pipeline.zcard(listed)
            if int(pipeline.execute()[-1]) > MOST_STUDIES:
                commands.zrem(listed, study.id)
                commands.delete(keys.study(study.id))
                raise InvalidRequest("study", f"there are {MOST_STUDIES} studies, which is the most; delete one first")
        return study

    def all(self, tenant: str) -> list[Study]:
        """The tenant's studies, the newest first."""
        with self._connection.asking():
            ids: Any = self._connection.commands.zrange(keys.studies_of(tenant), 0, -1)
            texts: Any = self._connection.commands.mget([keys.study(each) for each in ids]) if ids else []
        found = [study for text in texts if (study := _readable(text)) is not None]
        return sorted(found, key=lambda study: (study.created_at, study.id), reverse=True)

    def get(self, tenant: str, study_id: str) -> Study:
        """Raises `StudyNotFound`, for another tenant's as for none."""
        study = self._read(study_id)
        if study is None or study.tenant != tenant:
            raise StudyNotFound(f"there is no study {study_id[:80]!r}")
        return study

    def delete(self, tenant: str, study_id: str) -> None:
        """With its votes. Raises `StudyNotFound`."""
        study = self.get(tenant, study_id)
        invited = [each.id for each in self.invitations(study)]
        with self._connection.asking():
            self._connection.commands.zrem(keys.studies_of(tenant), study.id)
            votes = [keys.votes(study.id, each) for each in invited]
            self._connection.commands.delete(keys.study(study.id), keys.invitations(study.id), *votes)

    def invite(self, study: Study, expires_at: int, most_votes: int, now: int) -> tuple[Invitation, str]:
        """A new invitation, and its text, which nobody can ask for again. Raises `InvalidRequest` where there are as
        many as there may be."""
        secret = secrets.token_urlsafe(32)
        made = Invitation(
            id=secrets.token_hex(8),
            created_at=now,
            expires_at=expires_at,
            most_votes=most_votes,
            digest=_digest(secret),
        )
        key = keys.invitations(study.id)
        self._write(study, made)
        with self._connection.asking():
            if int(self._connection.commands.hlen(key)) > MOST_INVITATIONS:
                self._connection.commands.hdel(key, made.id)
                raise InvalidRequest(
                    "invitation", f"there are {MOST_INVITATIONS} invitations to this study, which is the most"
                )
        return made, f"scv_{study.id.removeprefix('study_')}_{made.id}_{secret}"

    def invitations(self, study: Study) -> list[Invitation]:
        """All of a study, also those that ended, the oldest first."""
        with self._connection.asking():
            found: Any = self._connection.commands.hvals(keys.invitations(study.id))
        invited = [Invitation.model_validate_json(text) for text in found]
        return sorted(invited, key=lambda each: (each.created_at, each.id))

    def revoke(self, study: Study, invitation_id: str) -> None:
        """End an invitation; its votes still count. Raises `StudyNotFound`."""
        invitation = self._invitation(study.id, invitation_id)
        if invitation is None:
            raise StudyNotFound(f"there is no invitation {invitation_id[:80]!r} to this study")
        self._write(study, invitation.model_copy(update={"revoked": True}))

    def invited(self, presented: str, now: float) -> tuple[Study, Invitation]:
        """What an invitation is to. Raises `InvalidInvitation`."""
        match = _INVITATION.fullmatch(presented)
        study = self._read(f"study_{match['study']}") if match else None
        invitation = self._invitation(study.id, match["id"]) if match and study else None
        known = invitation.digest if invitation else ""
        good = match is not None and hmac.compare_digest(known, _digest(match["secret"]))
        if study is None or invitation is None or not good or invitation.revoked or now >= invitation.expires_at:
            raise InvalidInvitation("the invitation is not valid: it is cut short, revoked, or its time is over")
        return study, invitation

    def vote(self, study: Study, invitation: Invitation, ballot: str, pair: int, chosen: Chosen) -> None:
        """Keep a choice, in the place of an earlier one of this ballot for this pair. Raises `VotesFull`."""
        key, name, commands = keys.votes(study.id, invitation.id), f"{ballot}:{pair}", self._connection.commands
        with self._connection.asking(), commands.pipeline(transaction=False) as pipeline:
            pipeline.hset(key, name, chosen)
            pipeline.expireat(key, study.expires_at)
            pipeline.hlen(key)
            new, _, count = pipeline.execute()
            if new and int(count) > invitation.most_votes:
                commands.hdel(key, name)
                raise VotesFull(f"this invitation has its {invitation.most_votes} votes; ask for another one")

    def voted(self, study: Study, invitation: Invitation, ballot: str) -> Mapping[int, Chosen]:
        """The choices of a ballot by the index of the pair."""
        names = [f"{ballot}:{pair}" for pair in range(len(study.pairs))]
        with self._connection.asking():
            found: Any = self._connection.commands.hmget(keys.votes(study.id, invitation.id), names)
        return {pair: chosen for pair, chosen in enumerate(found) if chosen is not None}

    def votes(self, study: Study) -> list[Vote]:
        """All votes of a study."""
        return [vote for invitation in self.invitations(study) for vote in self._cast(study, invitation.id)]

    def counts(self, study: Study, invitations: Sequence[Invitation]) -> list[int]:
        """How many votes came by each invitation."""
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for invitation in invitations:
                pipeline.hlen(keys.votes(study.id, invitation.id))
            return [int(count) for count in pipeline.execute()]

    def _cast(self, study: Study, invitation_id: str) -> Iterator[Vote]:
        with self._connection.asking():
            found: Any = self._connection.commands.hgetall(keys.votes(study.id, invitation_id))
        for name, chosen in found.items():
            ballot, _, pair = name.partition(":")
            yield Vote(f"{invitation_id}:{ballot}", int(pair), chosen)

    def _read(self, study_id: str) -> Study | None:
        if not _STUDY.fullmatch(study_id):
            return None
        with self._connection.asking():
            text: Any = self._connection.commands.get(keys.study(study_id))
        return _readable(text)

    def _invitation(self, study_id: str, invitation_id: str) -> Invitation | None:
        with self._connection.asking():
            text: Any = self._connection.commands.hget(keys.invitations(study_id), invitation_id)
        return Invitation.model_validate(json.loads(text)) if text else None

    def _write(self, study: Study, invitation: Invitation) -> None:
        key = keys.invitations(study.id)
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            pipeline.hset(key, invitation.id, invitation.model_dump_json())
            pipeline.expireat(key, study.expires_at)
            pipeline.execute()


def _readable(text: str | None) -> Study | None:
    """None also for one that another version wrote: it hides no other, and expires."""
    try:
        return Study.model_validate_json(text) if text else None
    except ValueError:
        return None


def _digest(secret: str) -> str:
    """A secret has 256 random bits: no salt makes its digest harder to undo."""
    return hashlib.sha256(secret.encode()).hexdigest()
