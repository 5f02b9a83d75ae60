"""What happens to the jobs of all models, told as it happens on one channel: a process listens once for all who watch.

A channel keeps nothing. Who comes later, or back, reads the job's record and what `events.py` has of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from pydantic import ValidationError
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from workers.jobs import keys
from workers.jobs.connection import redis_errors
from workers.jobs.errors import QueueUnavailable
from workers.jobs.events import JobEvent

#: How long the channel may be silent before Redis is asked whether it is there, and how long that answer may take.
SILENCE_SECONDS = 2.0


class LiveEvent(JobEvent):
    """An event, and whose job it is of."""

    tenant: str


class LiveEvents:
    """The channel, for a program with an event loop."""

    def __init__(self, redis_url: str, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._url, self._silence_seconds = redis_url, silence_seconds

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        """Inside, every event that comes is heard, on a connection that ends with the block.

        What was missed would not be known of, so a connection that breaks is not made anew: here, and where the next
        event is waited for, `QueueUnavailable` is raised, and of a Redis that hangs within `2 * silence_seconds`.
        """
        client = redis.asyncio.Redis.from_url(
            self._url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=self._silence_seconds,
            socket_connect_timeout=self._silence_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        pubsub = client.pubsub()
        try:
            with redis_errors():
                await pubsub.subscribe(keys.LIVE)
                if await pubsub.get_message(timeout=self._silence_seconds) is None:
                    raise QueueUnavailable("Redis: too slow")
            yield self._events(pubsub)
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()

    async def _events(self, pubsub: PubSub) -> AsyncIterator[LiveEvent]:
        asked = False
        while True:
            with redis_errors():
                message: dict[str, Any] | None = await pubsub.get_message(timeout=self._silence_seconds)
                if message is None and asked:
                    raise QueueUnavailable("Redis: too slow")
                asked = message is None
                if asked:
                    await pubsub.ping()
            # Before Python 3.12 `asyncio.wait_for`, by which the client sends, may swallow a cancellation: whoever had
            # ended would go on listening, and tell everything a second time.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError
            if message is not None and message["type"] == "message":
                try:
                    yield LiveEvent.model_validate_json(message["data"])
                except ValidationError:  # of another version; the next that can be read says how things stand
                    continue
