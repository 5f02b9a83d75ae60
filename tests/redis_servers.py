"""What tests that need a real Redis share."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from demo.embedded_redis import EmbeddedRedis, installed_servers
from tests.waiting import wait_until

#: Put on a module or test: it runs once on each version of redis-server that is installed here.
every_redis = pytest.mark.parametrize(
    "redis_binary", installed_servers() or [None], indirect=True, ids=lambda binary: f"redis-{binary}", scope="session"
)


def kill(server: EmbeddedRedis) -> None:
    """End the server as `kill -9` does, once all that it has acknowledged is in its file.

    With `appendfsync everysec` it acknowledges writes while it holds them back in its own memory, as long as an fsync
    of earlier ones is under way: on a busy disk up to two seconds. A kill at that moment loses them, which no test here
    is about.
    """
    with redis.Redis.from_url(server.url) as client:
        client.config_set("appendfsync", "no")  # nothing is held back from here on; `start` sets it anew

        def written() -> bool:
            persistence = client.info("persistence")
            return not persistence["aof_pending_bio_fsync"] and not persistence["aof_buffer_length"]

        wait_until(written, awaited="Redis writes its append-only file")
    server.kill()


@contextmanager
def stopped(server: EmbeddedRedis) -> Iterator[None]:
    """Inside, the server takes connections and does not answer."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
