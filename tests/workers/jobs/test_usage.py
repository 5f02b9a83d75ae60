"""What tenants use is counted once, whatever becomes of a job."""

from collections.abc import Callable

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease
from tests.workers.jobs.shared import shared, two
from workers.jobs import keys
from workers.jobs.job import Job, JobError
from workers.jobs.leases import Attempt
from workers.jobs.usage import KEPT_DAYS, Usage, UsageRecords

pytestmark = every_redis
ERROR = JobError(code="generation_failed", message="it failed")
SECONDS = 100.0


def used(queue: Queue, tenant: str = TENANT) -> Usage:
    return UsageRecords(queue.connection).totals([MODEL])[tenant][MODEL]


def a_running_job(queue: Queue, raw: "redis.Redis") -> Attempt:
    """One that a worker has had for a hundred seconds."""
    submit(queue)
    attempt = claim(queue)
    raw.hset(keys.job(attempt.job.id), "started_at", str(raw.time()[0] - SECONDS))
    return attempt


def reap(queue: Queue, raw: "redis.Redis", attempt: Attempt) -> None:
    end_lease(raw, attempt)
    queue.leases.reap(MODEL)


def delete(queue: Queue, raw: "redis.Redis", attempt: Attempt) -> None:
    queue.jobs.delete(attempt.job.key)
    queue.leases.cancel(attempt)


def complete(queue: Queue, raw: "redis.Redis", attempt: Attempt) -> None:
    queue.leases.complete(attempt, an_artifact(), a_report(steps=50, full_steps=20))


END = Callable[[Queue, "redis.Redis", Attempt], object]
ENDS: dict[str, tuple[END, Usage]] = {
    "completed": (complete, Usage(completed=1, full_steps=20, cached_steps=30)),
    "failed": (lambda queue, _, attempt: queue.leases.fail(attempt, ERROR, 1), Usage(failed=1)),
    "dead": (
        lambda queue, _, attempt: [queue.leases.fail(attempt, ERROR, 2), a_second_failure(queue)],
        Usage(failed=1),
    ),
    "cancelled": (lambda queue, _, attempt: queue.leases.cancel(attempt), Usage(cancelled=1)),
    "given back": (lambda queue, _, attempt: queue.leases.release(attempt), Usage()),
    "taken away": (reap, Usage()),
    "deleted": (delete, Usage()),
}


def a_second_failure(queue: Queue) -> None:
    queue.leases.fail(claim(queue), ERROR, 2)


@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_an_attempt_is_counted_with_the_seconds_that_it_took(
    queue: Queue, raw: "redis.Redis", end: str
) -> None:
    attempt = a_running_job(queue, raw)
    ended, expected = ENDS[end]
    ended(queue, raw, attempt)
    counted = used(queue)
    assert counted.device_seconds == pytest.approx(SECONDS, abs=5)
    assert counted == expected.model_copy(update={"submitted": 1, "device_seconds": counted.device_seconds})


def test_devices_that_compute_a_job_together_are_used_all(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = queue.leases.claim([MODEL], "w", {MODEL: 4})
    assert attempt is not None
    raw.hset(keys.job(attempt.job.id), "started_at", str(raw.time()[0] - SECONDS))
    queue.leases.release(attempt)
    assert used(queue).device_seconds == pytest.approx(4 * SECONDS, abs=20)
    attempt = a_running_job(queue, raw)
    complete(queue, raw, attempt)
    assert used(queue).device_seconds == pytest.approx(5 * SECONDS, abs=25), "the next worker has one"
    assert not raw.exists(f"{keys.root(MODEL)}:devices")


def test_devices_of_an_attempt_that_another_version_ended_are_not_those_of_the_next_one(
    queue: Queue, raw: "redis.Redis"
) -> None:
    attempt = a_running_job(queue, raw)
    raw.hset(f"{keys.root(MODEL)}:devices", attempt.job.id, "4 another worker")
    complete(queue, raw, attempt)
    assert used(queue).device_seconds == pytest.approx(SECONDS, abs=5)


def test_an_end_that_is_told_again_after_a_lost_reply_counts_once(queue: Queue, raw: "redis.Redis") -> None:
    attempt = a_running_job(queue, raw)
    for _ in range(2):
        complete(queue, raw, attempt)
    counted = used(queue)
    assert (counted.completed, counted.full_steps) == (1, 20)
    assert counted.device_seconds == pytest.approx(SECONDS, abs=5)
    queue.jobs.delete(attempt.job.key)
    assert used(queue) == counted, "what is deleted later was used all the same"


def test_a_submission_that_is_sent_again_counts_once(queue: Queue) -> None:
    job = submit(queue)
    queue.jobs.submit(job.key, priority=job.priority, request=job.request, metadata={})
    assert used(queue) == Usage(submitted=1)


def test_a_job_that_was_never_started_takes_no_device(queue: Queue) -> None:
    queue.jobs.cancel(submit(queue).key)
    queue.jobs.delete(submit(queue).key)
    assert used(queue) == Usage(submitted=2, cancelled=1)


def test_days_are_kept_apart_for_more_than_a_year(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    today = raw.time()[0] // 86_400
    records = UsageRecords(queue.connection)
    assert records.by_day(TENANT, [MODEL, "none"], [today - 1, today]) == {(MODEL, today): Usage(submitted=1)}
    assert raw.ttl(keys.used_on(MODEL, TENANT, today)) > (KEPT_DAYS - 1) * 86_400
    assert raw.ttl(keys.used(MODEL)) == -1


def test_who_came_first_stays_first(queue: Queue) -> None:
    for tenant in ("zeta", "acme", "beta", "zeta"):
        submit(queue, tenant=tenant)
    assert list(UsageRecords(queue.connection).totals([MODEL])) == ["zeta", "acme", "beta"]


def test_loads_tell_what_waits_and_runs_beside_what_was_used(queue: Queue, raw: "redis.Redis") -> None:
    complete(queue, raw, a_running_job(queue, raw))
    jobs: list[Job] = [submit(queue), submit(queue), submit(queue, tenant="beta")]
    claim(queue)
    acme, beta = UsageRecords(queue.connection).loads([MODEL, "none"])
    assert (acme.tenant, acme.queued + acme.running, acme.used.completed) == (TENANT, 2, 1)
    assert (beta.tenant, beta.queued + beta.running, acme.running + beta.running) == ("beta", 1, 1)
    assert acme.used.submitted == len(jobs)


def test_jobs_that_share_a_computation_wait_and_run_with_it(queue: Queue, raw: "redis.Redis") -> None:
    def load() -> tuple[int, int]:
        (of_tenant,) = UsageRecords(queue.connection).loads([MODEL])
        return of_tenant.queued, of_tenant.running

    two(queue)
    assert load() == (2, 0)
    attempt = claim(queue)
    shared(queue)
    assert load() == (0, 3)
    assert not raw.exists(f"{keys.root(MODEL)}:costs"), "nothing that waits is worth anything"
    queue.leases.release(attempt)
    assert load() == (3, 0)
    attempt = claim(queue)
    queue.jobs.delete(attempt.job.key)
    queue.leases.cancel(attempt)
    assert load() == (2, 0), "one of the others is computed in its place"
    complete(queue, raw, claim(queue))
    assert load() == (0, 0)
    assert not raw.exists(keys.following(MODEL, TENANT), keys.waiting(MODEL, TENANT), keys.running(MODEL, TENANT))
