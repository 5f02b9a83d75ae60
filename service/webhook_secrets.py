"""The secrets that messages to a tenant's receivers are signed with, by Standard Webhooks.

None is kept anywhere: a secret follows from the operator's own (`SCALINGCACHE_WEBHOOK_SECRET`), the tenant and the
secret's id. Redis has the ids, so that whoever reads it can sign nothing.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.errors import InvalidRequest, JobNotFound

#: Of a tenant at a time: the one in use, and the one that is to replace it.
MOST_SECRETS = 2


class SecretNotFound(JobNotFound):
    """There is no such webhook secret, or it belongs to another tenant."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """What may be shown of a secret. created_at: Unix seconds."""

    id: str
    created_at: int


class WebhookSecrets:
    """The secrets of a Redis. Safe to share between threads. Every method raises `QueueUnavailable`.

    root: the operator's own. With another one every secret is another one: those that were made with the first sign
    nothing from then on, rather than wrongly.
    """

    def __init__(self, connection: Connection, root: bytes) -> None:
        self._connection, self._root = connection, root

    def create(self, tenant: str, now: float) -> tuple[SigningSecret, str]:
        """A new secret, and its text, which nobody can ask for again. Messages carry a signature by each that there is.

        Raises `InvalidRequest` where there are as many as there may be.
        """
        made = SigningSecret(secrets.token_hex(8), int(now))
        text = self._text(tenant, made.id)
        record = json.dumps({"created_at": made.created_at, "check": _check(text)})
        key = keys.webhook_secrets(tenant)
        with self._connection.asking():
            self._connection.commands.hset(key, made.id, record)
            # Counted afterwards: of two calls at a time both see too many, none makes one too many.
            if int(self._connection.commands.hlen(key)) > MOST_SECRETS:
                self._connection.commands.hdel(key, made.id)
                raise InvalidRequest("secret", f"there are {MOST_SECRETS} secrets, which is the most; delete one first")
        return made, text

    def all(self, tenant: str) -> list[SigningSecret]:
        """The tenant's secrets, the oldest first."""
        return sorted((secret for secret, _ in self._read(tenant)), key=lambda secret: (secret.created_at, secret.id))

    def delete(self, tenant: str, secret_id: str) -> None:
        """Sign no more with a secret. Raises `SecretNotFound`."""
        with self._connection.asking():
            gone = self._connection.commands.hdel(keys.webhook_secrets(tenant), secret_id)
        if not gone:
            raise SecretNotFound(f"there is no webhook secret {secret_id[:80]!r}")

    def signatures(self, tenant: str, message_id: str, at: int, body: str) -> str:
        """The header `webhook-signature`: one signature for each secret, with spaces between; empty where none can
        sign. at: Unix seconds, the header `webhook-timestamp`."""
        timestamp = datetime.fromtimestamp(at, tz=UTC)
        return " ".join(Webhook(text).sign(message_id, timestamp, body) for text in self._usable(tenant))

    def can_sign(self, tenant: str) -> bool:
        """Whether the tenant's messages would be signed: secrets of another root are there, and sign nothing."""
        return bool(self._usable(tenant))

    def _usable(self, tenant: str) -> Sequence[str]:
        found = sorted(self._read(tenant), key=lambda each: (each[0].created_at, each[0].id))
        texts = [(self._text(tenant, secret.id), check) for secret, check in found]
        return [text for text, check in texts if hmac.compare_digest(_check(text), check)]

    def _read(self, tenant: str) -> list[tuple[SigningSecret, str]]:
        with self._connection.asking():
            record: Any = self._connection.commands.hgetall(keys.webhook_secrets(tenant))
        found = [(secret_id, json.loads(text)) for secret_id, text in record.items()]
        return [(SigningSecret(secret_id, int(said["created_at"])), str(said["check"])) for secret_id, said in found]

    def _text(self, tenant: str, secret_id: str) -> str:
        derived = hmac.new(self._root, f"webhook\n{tenant}\n{secret_id}".encode(), hashlib.sha256).digest()
        return "whsec_" + base64.b64encode(derived).decode()


def _check(text: str) -> str:
    """Says whether a secret is the one that its tenant got, and nothing of it."""
    return hashlib.sha256(f"check\n{text}".encode()).hexdigest()[:16]
