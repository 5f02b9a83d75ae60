"""A file that several jobs have lies with the one that was computed, and goes with the last of them."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, an_artifact
from tests.workers.jobs.leases import claim
from tests.workers.jobs.shared import complete, get, two
from workers.jobs import keys
from workers.jobs.errors import JobNotFound
from workers.jobs.job import AttemptKey, JobKey, JobState

pytestmark = every_redis


def test_a_file_goes_with_the_last_job_that_has_it(queue: Queue) -> None:
    first, second = two(queue)
    attempt = claim(queue)
    complete(queue, attempt)
    assert queue.jobs.delete(first.key) is False, "the other has its file"
    assert queue.leases.expired(MODEL) == []
    assert queue.leases.is_referenced(attempt.key), "the sweep leaves it"
    assert get(queue, second).artifact == an_artifact()
    assert queue.jobs.delete(second.key) is True
    assert {job.job_id for job in queue.leases.expired(MODEL)} == {first.id, second.id}
    assert not queue.leases.is_referenced(attempt.key)


def test_a_file_stays_with_the_first_when_the_others_go(queue: Queue) -> None:
    first, second = two(queue)
    attempt = claim(queue)
    complete(queue, attempt)
    queue.jobs.delete(second.key)
    assert [job.job_id for job in queue.leases.expired(MODEL)] == [second.id]
    queue.leases.forget(second.key)
    assert queue.leases.is_referenced(attempt.key)
    assert queue.jobs.delete(first.key) is True


def test_the_record_goes_at_its_time_though_others_have_its_file(queue: Queue, raw: "redis.Redis") -> None:
    first, second = two(queue)
    complete(queue, claim(queue))
    raw.zadd(keys.expiries(MODEL), {f"{first.id}:{TENANT}": 1})
    assert queue.leases.expired(MODEL) == []
    with pytest.raises(JobNotFound):
        get(queue, first)
    assert get(queue, second).state is JobState.COMPLETED
    assert raw.ttl(keys.sharers(first.id)) > 0
    raw.zadd(keys.expiries(MODEL), {f"{second.id}:{TENANT}": 1})
    assert queue.leases.expired(MODEL) == [JobKey(TENANT, second.id)]
    queue.leases.forget(second.key)
    assert queue.leases.expired(MODEL) == [JobKey(TENANT, first.id)]
    assert not queue.leases.is_referenced(AttemptKey(TENANT, first.id, "0" * 32))
