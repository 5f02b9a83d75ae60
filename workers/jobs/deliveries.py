"""Messages to clients' receivers that a job has ended: what became of each, and who is to send which now.

A message is made in the very script that ends its job, and lies in the slot of its model. At least once, under the same
id: a sender gets it with a lease, and one that ends before it has reported leaves it to be sent again.
"""

import json
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workers.jobs import delivery_scripts, keys
from workers.jobs.connection import Connection
from workers.jobs.errors import DeliveryNotFound, InvalidRequest
from workers.jobs.frozen import Frozen
from workers.jobs.records import fields_of
from workers.jobs.walk import LOOKED_AT

DeliveryState = Literal["pending", "sending", "delivered", "failed"]


class Delivery(Frozen):
    """A message and how far it has come. Times are Unix seconds by the Redis server's clock.

    type: of the event, such as `video.completed`. attempts: how many there were since it was made, or sent again by
    hand, the one under way included. due_at: when the next one is. status, error, seconds: the HTTP status of the last
    attempt's answer, what was wrong, and how long it took.
    """

    id: str
    tenant: str
    job: str
    type: str
    url: str
    lane: str
    state: DeliveryState
    created_at: float
    attempts: int
    due_at: float | None = None
    attempted_at: float | None = None
    status: int | None = None
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """A sender's right to send a message. `token` is random, and compared for equality when it reports."""

    delivery: Delivery
    token: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of a model's messages is still to be delivered: how many, since when (0 when none), and for how long the one
    that waits longest for a sender has been due."""

    pending: int
    oldest_seconds: float
    overdue_seconds: float


@dataclass(frozen=True, slots=True)
class Most:
    """How many messages a sender has under way at a time: in all, of one receiver of a tenant, of one tenant."""

    in_all: int = 256
    of_lane: int = 4
    of_tenant: int = 64


class Deliveries:
    """What clients see of their messages. Safe to share between threads; every method raises `QueueUnavailable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, tenant: str, message_id: str) -> Delivery:
        """A message of the tenant's. Raises `DeliveryNotFound`."""
        with self._connection.asking():
            record: dict[str, str] = self._connection.commands.hgetall(keys.delivery(message_id))  # type: ignore[assignment]
        return _of_tenant(record, tenant, message_id)

    def page(self, tenant: str, models: Sequence[str], *, after: str | None, limit: int) -> tuple[list[Delivery], bool]:
        """A page of the tenant's messages, newest first, behind the message `after`; and whether more follow.

        Raises `InvalidRequest` where `after` is none of the tenant's.
        """
        start = None if after is None else self._place(tenant, after)
        found: list[Delivery] = []
        step = limit + 1
        while len(found) <= limit and (places := self._places(tenant, models, start, step)[:step]):
            start = places[-1]
            found += [each for each in self._records([name for _, name in places]) if each is not None]
            # Of some the record has expired, and of thousands it may be: their places go later.
            step = max(limit + 1, LOOKED_AT)
        return found[:limit], len(found) > limit

    def _place(self, tenant: str, message_id: str) -> tuple[float, str]:
        try:
            return self.get(tenant, message_id).created_at, message_id
        except DeliveryNotFound as error:
            raise InvalidRequest("after", f"after: {error}; it must be the id of one of your deliveries") from None

    def _places(
        self, tenant: str, models: Sequence[str], start: tuple[float, str] | None, limit: int
    ) -> list[tuple[float, str]]:
        """Creation and id of the tenant's messages behind `start`, the newest first; `limit` of them or a few more."""
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for model in models:
                pipeline.zrange(
                    keys.deliveries(model, tenant),
                    "+inf" if start is None else start[0],  # a score, not an index, because of byscore
                    "-inf",
                    byscore=True,
                    desc=True,
                    offset=0,
                    num=limit + 4,  # `start` itself, and any of the same microsecond
                    withscores=True,
                )
            places = sorted(((score, name) for page in pipeline.execute() for name, score in page), reverse=True)
        return [place for place in places if start is None or place < start]

    def redeliver(self, tenant: str, message_id: str) -> Delivery:
        """Have a message sent again at once, under the same id, with as many attempts as a new one. One that is being
        sent at this moment stays as it is. Raises `DeliveryNotFound`."""
        redeliver = delivery_scripts.Redeliver(keys.delivery_root(message_id), message_id, tenant)
        return _of_tenant(fields_of(self._connection.run(redeliver)), tenant, message_id)

    def _records(self, ids: Sequence[str]) -> list[Delivery | None]:
        with self._connection.asking(), self._connection.commands.pipeline(transaction=False) as pipeline:
            for message_id in ids:
                pipeline.hgetall(keys.delivery(message_id))
            return [_readable(record) for record in pipeline.execute()]


class Outbox:
    """The sender's side. Safe to share between threads; every method raises `QueueUnavailable`."""

    def __init__(self, connection: Connection, *, lease_seconds: float = 60.0, most: Most | None = None) -> None:
        self._connection, self._lease_seconds, self._most = connection, lease_seconds, most or Most()

    def lease(self, model: str, under_way: Iterable[Delivery]) -> list[Leased]:
        """Messages of the model that are due, the longest due first, as many as there is room for beside those under
        way: so a receiver that is slow holds up its own messages alone."""
        sending = list(under_way)
        room = self._most.in_all - len(sending)
        if room <= 0:
            return []
        lanes = Counter(delivery.lane for delivery in sending)
        tenants = Counter(delivery.tenant for delivery in sending)
        token, counts = secrets.token_hex(16), json.dumps({"lanes": lanes, "tenants": tenants})
        most = room, self._most.of_lane, self._most.of_tenant
        records = self._connection.run(
            delivery_scripts.Dispatch(keys.root(model), token, self._lease_seconds, *most, counts)
        )
        found = [(_readable(fields_of(record)), fields_of(record)) for record in records]
        for delivery, fields in found:
            if delivery is None:  # Of another version: as if it had failed, so that it is met once.
                self._report(fields["id"], token, "failed", 0.0, {"error": "its record cannot be read"})
        return [Leased(delivery, token) for delivery, _ in found if delivery is not None]

    def delivered(self, leased: Leased, *, status: int, seconds: float) -> bool:
        """The receiver took it. False where the lease had ended: then the message goes out a second time."""
        return self._settle(leased, "delivered", 0.0, status, None, seconds)

    def retry(
        self, leased: Leased, delay_seconds: float, *, status: int | None, error: str, seconds: float | None
    ) -> bool:
        """It did not, and is asked again after that time."""
        return self._settle(leased, "pending", delay_seconds, status, error, seconds)

    def failed(self, leased: Leased, *, status: int | None, error: str, seconds: float | None) -> bool:
        """It did not, and is not asked again."""
        return self._settle(leased, "failed", 0.0, status, error, seconds)

    def release(self, leased: Leased) -> bool:
        """It was not asked: another sender is to do it."""
        return self._report(leased.delivery.id, leased.token, "released", 0.0, {})

    def backlog(self, model: str) -> Backlog:
        """What is still to be delivered."""
        pending, oldest, overdue = self._connection.run(delivery_scripts.Backlog(keys.root(model)))
        return Backlog(pending, float(oldest), float(overdue))

    def _settle(
        self,
        leased: Leased,
        state: Literal["pending", "delivered", "failed"],
        delay: float,
        status: int | None,
        error: str | None,
        seconds: float | None,
    ) -> bool:
        outcome = {"status": status, "error": error, "seconds": seconds}
        return self._report(leased.delivery.id, leased.token, state, delay, outcome)

    def _report(
        self,
        message: str,
        token: str,
        state: Literal["pending", "released", "delivered", "failed"],
        delay: float,
        outcome: Mapping[str, object],
    ) -> bool:
        # An empty field is none: so an earlier attempt's value goes.
        fields = tuple("" if item is None else str(item) for pair in outcome.items() for item in pair)
        report = delivery_scripts.Report(keys.delivery_root(message), message, token, state, delay, fields)
        return bool(self._connection.run(report))


def _of_tenant(record: Mapping[str, str], tenant: str, message_id: str) -> Delivery:
    if record.get("tenant") != tenant or (delivery := _readable(record)) is None:
        raise DeliveryNotFound(f"there is no delivery {message_id[:120]!r}")
    return delivery


def _readable(record: Mapping[str, str]) -> Delivery | None:
    """The message in a hash; None for one that is gone, or that this version cannot read."""
    try:
        return Delivery.model_validate({name: text for name, text in record.items() if name != "token" and text != ""})
    except ValueError:
        return None
