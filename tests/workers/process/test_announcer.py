"""A worker's sign of life, on a real Redis."""

from collections.abc import Iterator

import pytest
import redis

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import MODEL
from workers.process.announcer import Announcer
from workers.process.metrics import Metrics
from workers.process.shutdown import Shutdown


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    queue = Queue.open(redis_url)
    yield queue
    queue.close()


def announced(queue: Queue) -> list[tuple[str, tuple[str, ...]]]:
    return [(worker.state, worker.models) for worker in queue.presence.workers()]


def test_it_announces_what_the_worker_does_and_says_goodbye(queue: Queue) -> None:
    metrics = Metrics()
    announcer = Announcer(queue.presence, metrics, Shutdown(), "tidy", {MODEL: "float32 on cpu"})
    announcer.start()
    wait_until(lambda: announced(queue) == [("loading", ())])
    announcer.set_state("idle")
    wait_until(lambda: announced(queue) == [("idle", (MODEL,))])
    assert metrics.registry.get_sample_value("scalingcache_worker_state", {"state": "idle"}) == 1
    announcer.stop()
    assert queue.presence.workers() == []


def test_a_worker_says_that_it_lives_also_where_redis_has_no_memory_left(queue: Queue, redis_url: str) -> None:
    announcer = Announcer(queue.presence, Metrics(), Shutdown(), "tidy", {MODEL: "float32 on cpu"})
    with redis.Redis.from_url(redis_url) as raw:
        raw.script_flush()
        raw.config_set("maxmemory", 1)
        try:
            announcer.start()
            wait_until(lambda: announced(queue) == [("loading", ())])
        finally:
            raw.config_set("maxmemory", 0)
            announcer.stop()
