"""The queue on a Redis that loses replies, is full, or is gone."""

from collections.abc import Iterator

import pytest
import redis

from demo.embedded_redis import EmbeddedRedis
from tests.redis_proxy import RedisProxy
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim, stream_lengths
from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import JobError, JobState
from workers.jobs.queue import BeatReply, JobQueue

pytestmark = every_redis


@pytest.fixture
def proxy(redis_server: EmbeddedRedis, redis_url: str) -> Iterator[RedisProxy]:
    with RedisProxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def shaky(proxy: RedisProxy) -> Iterator[JobQueue]:
    """A queue behind the proxy that has its connection already."""
    queue = JobQueue(proxy.url)
    queue.ping()
    yield queue
    queue.close()


def test_a_submission_whose_reply_was_lost_makes_one_job(
    shaky: JobQueue, proxy: RedisProxy, raw: "redis.Redis"
) -> None:
    proxy.lose_reply(b"EVALSHA")
    job = submit(shaky)
    assert proxy.lost == 1
    assert stream_lengths(raw) == 1
    assert shaky.get(job.id, TENANT) == job


def test_a_claim_whose_reply_was_lost_gets_the_same_job(shaky: JobQueue, proxy: RedisProxy) -> None:
    first, second = submit(shaky), submit(shaky)
    assert shaky.claim(["flux"], "worker") is None  # loads the script
    proxy.lose_reply(b"EVALSHA")
    attempt = claim(shaky)
    assert proxy.lost == 1
    assert (attempt.job.id, attempt.job.attempts) == (first.id, 1)
    assert shaky.get(second.id, TENANT).state is JobState.QUEUED


def test_a_completion_whose_reply_was_lost_is_a_success(shaky: JobQueue, proxy: RedisProxy) -> None:
    submit(shaky)
    attempt = claim(shaky)
    shaky.beat(attempt)
    proxy.lose_reply(attempt.token.encode())
    assert shaky.complete(attempt, an_artifact(), a_report()).state is JobState.COMPLETED
    assert proxy.lost == 1


def test_a_failure_whose_reply_was_lost_counts_once(shaky: JobQueue, proxy: RedisProxy) -> None:
    job = submit(shaky)
    attempt = claim(shaky)
    proxy.lose_reply(attempt.token.encode())
    assert shaky.fail(attempt, JobError(code="x", message="x"), 2).state is JobState.QUEUED
    assert proxy.lost == 1
    assert claim(shaky).job.attempts == 2
    assert shaky.get(job.id, TENANT).state is JobState.RUNNING


def test_a_full_redis_takes_no_job_but_lets_a_running_one_finish(queue: JobQueue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    raw.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable):
            submit(queue)
        with pytest.raises(QueueUnavailable):
            queue.ping()
        assert queue.beat(attempt, "denoise", 1) is BeatReply.OK
        assert queue.complete(attempt, an_artifact(), a_report()).state is JobState.COMPLETED
    finally:
        raw.config_set("maxmemory", 0)
    queue.ping()
    assert queue.depth(MODEL).queued == 0


def test_a_read_only_redis_is_unavailable(queue: JobQueue, raw: "redis.Redis") -> None:
    raw.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(QueueUnavailable):
            queue.ping()
        with pytest.raises(QueueUnavailable):
            submit(queue)
    finally:
        raw.replicaof("NO", "ONE")
    submit(queue)


def test_a_redis_that_is_gone_is_unavailable_and_comes_back(own_redis: EmbeddedRedis) -> None:
    queue = JobQueue(own_redis.url)
    job = submit(queue)
    queue.claim(["flux"], "worker")
    own_redis.kill()
    for call in (queue.ping, lambda: queue.get(job.id, TENANT), lambda: submit(queue), lambda: queue.wait(["flux"], 1)):
        with pytest.raises(QueueUnavailable):
            call()
    own_redis.start()
    assert claim(queue).job.id == job.id
    queue.close()
