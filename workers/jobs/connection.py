"""The way to Redis: clients with bounded waits, the Lua scripts, and one error for everything that goes wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.commands.core import Script as ServerScript
from redis.retry import Retry

from workers.jobs.breaker import Breaker
from workers.jobs.errors import QueueUnavailable
from workers.jobs.scripts import Script

Reply = TypeVar("Reply")

#: The longest that one blocking read may wait, in seconds; well inside the reading client's socket timeout.
MAX_BLOCK_SECONDS = 5.0


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn what redis-py raises into `QueueUnavailable`: unreachable, too slow, out of memory, read-only, loading."""
    try:
        yield
    except redis.RedisError as error:
        raise QueueUnavailable(f"Redis: {error}") from error


class Connection:
    """Two clients, because a socket timeout that suits commands would cut off blocking reads.

    Safe to share between threads. Commands are retried when the connection breaks, so each must be idempotent:
    a reply may be lost after the command took effect. A Redis that does not answer is given up after
    `command_seconds`: whoever asks has a deadline too, and retries would multiply the wait. With a `breaker`, who asks
    after that does not wait for it again. One retry is for a connection that broke while it was idle, more are for a
    Redis that restarts.
    """

    def __init__(
        self, redis_url: str, *, command_seconds: float = 5.0, retries: int = 3, breaker: Breaker | None = None
    ) -> None:
        self.commands = _client(redis_url, command_seconds, retries)
        self.reads = _client(redis_url, MAX_BLOCK_SECONDS + 10.0, retries)
        self._breaker = breaker
        self._scripts: dict[type, ServerScript] = {}

    def run(self, call: Script[Reply]) -> Reply:
        """Run a script. Raises `QueueUnavailable`."""
        kind = type(call)
        if kind not in self._scripts:
            self._scripts[kind] = self.commands.register_script(kind.text())  # hashes the text, asks nothing of Redis
        with self.asking():
            # The server has the script after the first call, and gets it again when it came back empty.
            reply: Reply = self._scripts[kind](keys=call.keys(), args=call.arguments())
        return reply

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around commands. Raises `QueueUnavailable` for what redis-py raises, and at once while Redis is away."""
        with redis_errors(), self._breaker.guard() if self._breaker else nullcontext():
            yield

    def ping(self) -> None:
        """Raise `QueueUnavailable` unless Redis answers and takes writes (its disk or memory may be full)."""
        with self.asking():
            self.commands.set("ping", "", ex=60)

    def close(self) -> None:
        """Close both clients."""
        self.commands.close()
        self.reads.close()


def _client(redis_url: str, socket_timeout: float, retries: int) -> "redis.Redis":
    return redis.Redis.from_url(
        redis_url,
        decode_responses=True,
        encoding_errors="replace",  # A text that was cut within a character is to be read as far as it goes.
        socket_timeout=socket_timeout,
        socket_connect_timeout=min(2.0, socket_timeout),
        health_check_interval=15,
        retry=Retry(
            ExponentialWithJitterBackoff(base=0.05, cap=1.0),
            retries,
            supported_errors=(redis.exceptions.ConnectionError,),
        ),
    )
