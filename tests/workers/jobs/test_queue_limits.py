"""How many jobs may wait, and when one that finds no room may come again."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_request, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.errors import QueueFull, QueueUnavailable
from workers.jobs.job import Job, JobKey, Priority, new_job_id
from workers.jobs.queue import Jobs, QueueLimits

pytestmark = every_redis


def test_a_tenant_that_floods_the_queue_leaves_room_for_others(queue: Queue) -> None:
    limits = QueueLimits(queued=5, queued_of_tenant=2)
    jobs = Jobs(queue.connection, limits=limits)

    def submit_for(tenant: str) -> Job:
        key = JobKey(tenant, new_job_id(MODEL))
        return jobs.submit(key, priority=Priority.LOW, request=a_request(), metadata={})

    for tenant in ("flood", "flood", "a", "b"):
        submit_for(tenant)
    with pytest.raises(QueueFull, match="2 jobs of yours wait"):
        submit_for("flood")
    submit_for("a")
    with pytest.raises(QueueFull, match="5 jobs wait"):
        submit_for("c")


@pytest.mark.parametrize("ending", ["claimed", "cancelled", "deleted"])
def test_a_job_that_waits_no_longer_makes_room_and_one_that_is_given_back_takes_it(queue: Queue, ending: str) -> None:
    jobs = Jobs(queue.connection, limits=QueueLimits(queued_of_tenant=1))
    first = submit(queue)
    if ending == "claimed":
        attempt = claim(queue)
    else:
        (jobs.cancel if ending == "cancelled" else jobs.delete)(first.key)
    key = JobKey(TENANT, new_job_id(MODEL))
    jobs.submit(key, priority=Priority.LOW, request=a_request(), metadata={})
    if ending == "claimed":
        queue.leases.release(attempt)
        jobs.delete(key)
        with pytest.raises(QueueFull):
            jobs.submit(key, priority=Priority.LOW, request=a_request(), metadata={})


def test_there_is_room_by_when_the_queue_has_moved_on_one_place(queue: Queue, raw: "redis.Redis") -> None:
    jobs = Jobs(queue.connection, limits=QueueLimits(queued=10))
    first, *_ = [submit(queue) for _ in range(10)]
    seconds, _ = raw.time()
    raw.zadd(keys.since(MODEL, "normal"), {first.id: seconds - 300})
    with pytest.raises(QueueFull) as refused:
        submit_one = JobKey(TENANT, new_job_id(MODEL))
        jobs.submit(submit_one, priority=Priority.LOW, request=a_request(), metadata={})
    assert refused.value.seconds == pytest.approx(30, abs=1)

    def lost(model: str, tenant: str | None) -> float | None:
        raise QueueUnavailable("Redis: timed out")

    with pytest.raises(QueueFull) as refused:
        Jobs(queue.connection, limits=QueueLimits(queued=10), next_start=lost).submit(
            submit_one, priority=Priority.LOW, request=a_request(), metadata={}
        )
    assert refused.value.seconds == pytest.approx(30, abs=1)
