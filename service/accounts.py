"""API keys: how they look, what Redis has of them, and whose a presented one is.

An account is a tenant: everything that its keys make belongs to it. Redis has the digest of a key, never the key.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workers.jobs import account_scripts, keys
from workers.jobs.connection import Connection
from workers.jobs.errors import InvalidRequest, QueueUnavailable

#: Of an account at a time: the one in use, and the one that is to replace it.
MOST_KEYS = 2
#: How often the use of a key is noted.
NOTE_SECONDS = 60
ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
#: A prefix that scanners for leaked secrets can look for, an id that may be shown, 32 random bytes.
_KEY = re.compile(r"scs_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_\-]{43})")
_NO_DIGEST = "0" * 64


class Scope(StrEnum):
    """What a key may do."""

    GENERATE = "generate"  # make, cancel and delete jobs
    READ = "read"  # see jobs, results and models
    ADMIN = "admin"  # see what is the operator's: metrics, details of readiness, usage of all accounts


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be shown of a key. Times are Unix seconds; expires_at: None for one that goes on until it is revoked."""

    id: str
    account: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class Accounts:
    """The API keys of a Redis. Safe to share between threads. Every method raises `QueueUnavailable`."""

    def __init__(self, connection: Connection, pepper: bytes) -> None:
        self._connection, self._pepper = connection, pepper

    def create(self, account: str, scopes: Collection[Scope]) -> str:
        """A new key, which nobody can ask for again. Raises `InvalidRequest`."""
        if not ACCOUNT.fullmatch(account):
            raise InvalidRequest(
                "account",
                f"account {account[:80]!r} must be 1 to 64 letters, digits, '.', '_' and '-', the first no sign",
            )
        if not scopes:
            raise InvalidRequest("scopes", f"a key needs a scope; allowed: {', '.join(Scope)}")
        return self._issue(account, scopes)

    def rotate(self, key_id: str, grace_seconds: int) -> str:
        """A new key for the account of another one, with its scopes; that one goes on for the grace and ends then.

        Raises `InvalidRequest`.
        """
        old = self._find(key_id)
        return self._issue(old.account, old.scopes, replaced=key_id, grace_seconds=grace_seconds)

    def revoke(self, key_id: str) -> None:
        """End a key. Raises `InvalidRequest` where there is none."""
        if not self._connection.run(account_scripts.Revoke(keys.ACCOUNTS, key_id)):
            raise _no_key(key_id)

    def live(self) -> list[ApiKey]:
        """All live keys, by account and age."""
        with self._connection.asking():
            ids: Any = self._connection.commands.smembers(keys.API_KEY_IDS)
        found = [_key_of(record) for key_id in ids if (record := self._record(key_id))]
        return sorted(found, key=lambda key: (key.account, key.created_at, key.id))

    def verify(self, presented: str) -> ApiKey | None:
        """The key that somebody sent, None for what is none. Its use is noted."""
        match = _KEY.fullmatch(presented)
        if match is None:
            return None
        record = self._record(match["id"])
        # The digest is also of what the key may do: who can write to Redis, and has no pepper, can give it no more.
        digest = self._digest(match["id"], record.get("account", ""), record.get("scopes", ""), match["secret"])
        if not hmac.compare_digest(record.get("digest", _NO_DIGEST), digest):
            return None
        with suppress(QueueUnavailable):  # A Redis that takes no writes still knows its keys.
            self._connection.run(account_scripts.Used(keys.api_key(match["id"]), NOTE_SECONDS))
        return _key_of(record)

    def has_this_pepper(self) -> bool:
        """Whether the keys in Redis were made with the pepper of this process; the first that asks settles it."""
        proof = hmac.new(self._pepper, b"proof", hashlib.sha256).hexdigest()
        with self._connection.asking():
            self._connection.commands.set(keys.PEPPER_PROOF, proof, nx=True)
            known = str(self._connection.commands.get(keys.PEPPER_PROOF))
        return hmac.compare_digest(known, proof)

    def _issue(self, account: str, scopes: Collection[Scope], *, replaced: str = "", grace_seconds: int = 0) -> str:
        if not self.has_this_pepper():
            raise InvalidRequest("pepper", "the keys in this Redis were made with another pepper; nothing was changed")
        key_id, secret, named = secrets.token_hex(8), secrets.token_urlsafe(32), " ".join(sorted(scopes))
        digest = self._digest(key_id, account, named, secret)
        issue = account_scripts.Issue(keys.ACCOUNTS, key_id, account, named, digest, MOST_KEYS, replaced, grace_seconds)
        answer = self._connection.run(issue)
        if answer == "gone":
            raise _no_key(replaced)
        if answer == "many":
            live = ", ".join(key.id for key in self.live() if key.account == account)
            raise InvalidRequest(
                "account",
                f"account {account!r} has {MOST_KEYS} live keys, which is the most; revoke one of {live} first",
            )
        return f"scs_{key_id}_{secret}"

    def _find(self, key_id: str) -> ApiKey:
        if not (record := self._record(key_id)):
            raise _no_key(key_id)
        return _key_of(record)

    def _record(self, key_id: str) -> dict[str, str]:
        with self._connection.asking():
            record: Any = self._connection.commands.hgetall(keys.api_key(key_id))
        return dict(record)

    def _digest(self, key_id: str, account: str, scopes: str, secret: str) -> str:
        message = "\n".join((key_id, account, scopes, secret))
        return hmac.new(self._pepper, message.encode(), hashlib.sha256).hexdigest()


def _key_of(record: Mapping[str, str]) -> ApiKey:
    return ApiKey(
        id=record["id"],
        account=record["account"],
        scopes=frozenset(scope for scope in Scope if scope in record["scopes"].split()),
        created_at=int(record["created_at"]),
        expires_at=_seconds(record.get("expires_at")),
        last_used_at=_seconds(record.get("last_used_at")),
    )


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(text)


def _no_key(key_id: str) -> InvalidRequest:
    return InvalidRequest(
        "key", f"there is no live key {key_id[:80]!r}; `python -m service keys list` shows those that are"
    )
