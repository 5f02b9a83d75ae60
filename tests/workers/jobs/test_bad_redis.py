"""The queue on a Redis that loses replies, is full, or is gone."""

from collections.abc import Callable, Iterator

import pytest
import redis

from demo.embedded_redis import EmbeddedRedis
from tests.queues import Queue
from tests.redis_proxy import RedisProxy
from tests.redis_servers import every_redis, kill
from tests.workers.factories import MODEL, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import JobError, JobState
from workers.jobs.leases import BeatReply

pytestmark = every_redis


@pytest.fixture
def proxy(redis_server: EmbeddedRedis, redis_url: str) -> Iterator[RedisProxy]:
    with RedisProxy(redis_server.socket) as proxy:
        yield proxy


@pytest.fixture
def shaky(proxy: RedisProxy) -> Iterator[Queue]:
    """A queue behind the proxy that has its connection already."""
    queue = Queue.open(proxy.url)
    queue.connection.ping()
    yield queue
    queue.close()


def test_a_submission_whose_reply_was_lost_makes_one_job(shaky: Queue, proxy: RedisProxy, raw: "redis.Redis") -> None:
    proxy.lose_reply(b"EVALSHA")
    job = submit(shaky)
    assert proxy.lost == 1
    assert stream_lengths(raw) == 1
    assert shaky.jobs.get(job.key) == job


def test_a_claim_whose_reply_was_lost_gets_the_same_job(shaky: Queue, proxy: RedisProxy) -> None:
    first, second = submit(shaky), submit(shaky)
    assert shaky.leases.claim(["flux"], "worker") is None  # loads the script
    proxy.lose_reply(b"EVALSHA")
    attempt = claim(shaky)
    assert proxy.lost == 1
    assert (attempt.job.id, attempt.job.attempts) == (first.id, 1)
    assert shaky.jobs.get(second.key).state is JobState.QUEUED


def test_a_completion_whose_reply_was_lost_is_a_success(shaky: Queue, proxy: RedisProxy) -> None:
    submit(shaky)
    attempt = claim(shaky)
    shaky.leases.beat(attempt)
    proxy.lose_reply(attempt.token.encode())
    assert shaky.leases.complete(attempt, an_artifact(), a_report()).state is JobState.COMPLETED
    assert proxy.lost == 1


def test_a_failure_whose_reply_was_lost_counts_once(shaky: Queue, proxy: RedisProxy) -> None:
    job = submit(shaky)
    attempt = claim(shaky)
    proxy.lose_reply(attempt.token.encode())
    assert shaky.leases.fail(attempt, JobError(code="x", message="x"), 2).state is JobState.QUEUED
    assert proxy.lost == 1
    assert claim(shaky).job.attempts == 2
    assert shaky.jobs.get(job.key).state is JobState.RUNNING


def test_a_full_redis_takes_no_job_but_lets_a_running_one_finish(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable):
            submit(queue)
        with pytest.raises(QueueUnavailable):
            queue.connection.ping()
        assert queue.leases.beat(attempt, "denoise", 1) is BeatReply.OK
        assert queue.leases.complete(attempt, an_artifact(), a_report()).state is JobState.COMPLETED
    finally:
        raw.config_set("maxmemory", 0)
    queue.connection.ping()
    assert queue.inspection.depth(MODEL).queued == 0


def test_a_read_only_redis_is_unavailable(queue: Queue, raw: "redis.Redis") -> None:
    raw.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(QueueUnavailable):
            queue.connection.ping()
        with pytest.raises(QueueUnavailable):
            submit(queue)
    finally:
        raw.replicaof("NO", "ONE")
    submit(queue)


def test_a_redis_that_is_gone_is_unavailable_and_comes_back(own_redis: EmbeddedRedis) -> None:
    queue = Queue.open(own_redis.url)
    job = submit(queue)
    queue.leases.claim(["flux"], "worker")
    kill(own_redis)
    calls: list[Callable[[], object]] = [
        queue.connection.ping,
        lambda: queue.jobs.get(job.key),
        lambda: submit(queue),
        lambda: queue.leases.wait(["flux"], 1),
    ]
    for call in calls:
        with pytest.raises(QueueUnavailable):
            call()
    own_redis.start()
    assert claim(queue).job.id == job.id
    queue.close()


def test_the_queue_says_when_redis_is_gone(own_redis: EmbeddedRedis) -> None:
    queue = Queue.open(own_redis.url)
    kill(own_redis)
    with pytest.raises(QueueUnavailable):
        queue.connection.ping()
    queue.close()


def test_a_full_redis_still_takes_what_frees_memory(queue: Queue, raw: "redis.Redis") -> None:
    cancelled, running, deleted, reaped = (submit(queue) for _ in range(4))
    stopped, silent = claim(queue), claim(queue)
    assert [stopped.job.id, silent.job.id] == [cancelled.id, running.id]
    end_lease(raw, silent)
    raw.config_set("maxmemory", 1)
    try:
        queue.jobs.cancel(cancelled.key)
        queue.leases.cancel(stopped)
        assert [job.state for job in queue.leases.reap(MODEL)] == [JobState.QUEUED]
        queue.jobs.cancel(reaped.key)
        queue.jobs.delete(deleted.key)
        [due] = queue.leases.expired(MODEL)
        queue.leases.forget(due)
    finally:
        raw.config_set("maxmemory", 0)
    assert queue.leases.expired(MODEL) == []
