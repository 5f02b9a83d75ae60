"""How much of what has ended is kept: no tenant can fill Redis with it."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.job import Job, JobError, JobKey, Priority, new_job_id
from workers.jobs.leases import Leases
from workers.jobs.queue import Jobs

pytestmark = every_redis


def kept(raw: "redis.Redis", jobs: list[Job]) -> list[int]:
    return [int(raw.exists(keys.job(job.id))) for job in jobs]


def test_a_tenant_keeps_a_thousand_jobs_without_a_result_and_the_oldest_give_way(
    queue: Queue, raw: "redis.Redis"
) -> None:
    failed = submit(queue)
    queue.leases.fail(claim(queue), JobError(code="x", message="x"), 1)
    jobs = [failed, *(queue.jobs.cancel(submit(queue).key) for _ in range(1002))]
    assert kept(raw, jobs) == [0] * 3 + [1] * 1000
    assert raw.zcard(keys.tenant_jobs(MODEL, TENANT)) == 1000
    for job in jobs:
        queue.leases.forget(job.key)
    passed_over = (":stream:", ":claim:", ":used")
    left = {key for key in raw.scan_iter() if not any(part in key for part in passed_over)}
    assert left == {keys.places(MODEL, TENANT), keys.last_failed(MODEL)}, "the first goes within the hour"
    assert raw.zcard(keys.last_failed(MODEL)) == 1, "and the other has the last few ids of a model"
    assert 0 < raw.ttl(keys.places(MODEL, TENANT)) <= 3600


def test_completed_jobs_do_not_give_way_to_cancelled_ones(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    done = claim(queue)
    queue.leases.complete(done, an_artifact(), a_report())
    for _ in range(1001):
        queue.jobs.cancel(submit(queue).key)
    assert kept(raw, [done.job]) == [1]


def test_a_tenant_keeps_ten_thousand_results_and_the_oldest_give_way_with_their_files(
    queue: Queue, raw: "redis.Redis"
) -> None:
    submit(queue)
    oldest = claim(queue)
    queue.leases.complete(oldest, an_artifact(), a_report())
    expired = new_job_id(MODEL)  # Its record went by itself, as where no worker deletes for two days.
    raw.zadd(f"{keys.root(MODEL)}:completed:{TENANT}", {expired: 0})
    others = {f"other-{number}": 2e9 + number for number in range(9999)}
    raw.zadd(f"{keys.root(MODEL)}:completed:{TENANT}", others)  # type: ignore[arg-type]
    submit(queue)
    queue.leases.complete(claim(queue), an_artifact(), a_report())
    assert kept(raw, [oldest.job]) == [0]
    assert {job.job_id for job in queue.leases.expired(MODEL)} == {oldest.job.id, expired}


def test_places_in_a_list_that_are_remembered_have_a_number(queue: Queue, raw: "redis.Redis") -> None:
    raw.zadd(keys.places(MODEL, TENANT), {f"other-{number}": number for number in range(10_000)})
    queue.jobs.delete(submit(queue).key)
    assert raw.zcard(keys.places(MODEL, TENANT)) == 10_000


@pytest.mark.parametrize(("tenant", "seconds"), [("brief", 100.0), ("others", 1000.0)])
def test_a_tenant_with_a_retention_of_its_own_has_its_jobs_kept_for_so_long(
    queue: Queue, raw: "redis.Redis", tenant: str, seconds: float
) -> None:
    leases = Leases(queue.connection, retention_seconds=1000.0)
    jobs = Jobs(queue.connection, retention_seconds=1000.0, retention_of={"brief": 100.0})

    def submitted() -> Job:
        key = JobKey(tenant, new_job_id(MODEL))
        return jobs.submit(key, priority=Priority.NORMAL, request=a_request(), metadata={})

    done, failed, cancelled = (submitted() for _ in range(3))
    for end in (
        lambda attempt: leases.complete(attempt, an_artifact(), a_report()),
        lambda attempt: leases.fail(attempt, JobError(code="x", message="x"), 1),
    ):
        attempt = leases.claim([MODEL], "w")
        assert attempt is not None
        end(attempt)
    jobs.cancel(cancelled.key)
    for job, expected in ((done, seconds), (failed, seconds), (cancelled, min(seconds, 600.0))):
        now = jobs.get(job.key)
        assert now.expires_at is not None and now.completed_at is not None
        assert now.expires_at - now.completed_at == pytest.approx(expected, abs=1e-3)
