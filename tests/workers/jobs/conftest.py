"""A queue on an empty, real Redis."""

from collections.abc import Iterator

import pytest
import redis

from tests.queues import Queue


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    queue = Queue.open(redis_url)
    yield queue
    queue.close()


@pytest.fixture
def raw(redis_url: str) -> Iterator["redis.Redis"]:
    """Past the queue, to look at keys and to let leases end without waiting."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client
