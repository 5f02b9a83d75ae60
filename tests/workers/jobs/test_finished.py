"""A job that gets the result of one that has ended, as Redis has it."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.finished import FinishedJobs
from workers.jobs.job import AttemptKey, Job, JobKey, JobState, Priority, new_job_id
from workers.jobs.leases import Leases

pytestmark = every_redis
VERSION = "torch-1"


@pytest.fixture
def finished(queue: Queue) -> FinishedJobs:
    return FinishedJobs(queue.connection)


@pytest.fixture
def source(queue: Queue) -> Job:
    submit(queue)
    attempt = claim(queue)
    queue.leases.complete(attempt, an_artifact(), a_report(), VERSION)
    return queue.jobs.get(attempt.job.key)


def again(queue: Queue, source: Job) -> Job:
    key = JobKey(TENANT, new_job_id(MODEL))
    return queue.jobs.submit(
        key, priority=Priority.LOW, request=source.request, metadata={}, shares=True, result_of=source.id
    )


def test_a_result_is_found_by_account_request_and_version(finished: FinishedJobs, source: Job) -> None:
    assert finished.like(TENANT, source.request, VERSION) == source
    assert finished.like("other", source.request, VERSION) is None
    assert finished.like(TENANT, source.request, "torch-2") is None
    assert finished.like(TENANT, a_request("another"), VERSION) is None


def test_it_is_found_for_as_long_as_it_is_kept(queue: Queue, raw: "redis.Redis", finished: FinishedJobs) -> None:
    for leases, least, most in (
        (Leases(queue.connection, retention_seconds=50), 40, 50),
        (queue.leases, 80_000, 86_400),
    ):
        submit(queue)
        leases.complete(claim(queue), an_artifact(), a_report(), VERSION)
        [index] = raw.scan_iter("*:finished:*")
        assert least <= raw.ttl(index) <= most
    submit(queue, a_request("of no version"))
    queue.leases.complete(claim(queue), an_artifact(), a_report())
    assert len([*raw.scan_iter("*:finished:*")]) == 1


def test_a_job_that_has_it_is_completed_at_once_and_nothing_of_it_waits(queue: Queue, source: Job) -> None:
    job = again(queue, source)
    assert (job.state, job.result_of, job.attempts, job.started_at) == (JobState.COMPLETED, source.id, 0, None)
    assert (job.artifact, job.report, job.step) == (source.artifact, source.report, source.step)
    assert queue.leases.claim([MODEL], "w") is None and queue.inspection.depth(MODEL).queued == 0
    assert again(queue, source).id != job.id


def test_it_is_submitted_as_any_other_where_the_source_went_meanwhile(
    queue: Queue, source: Job, raw: "redis.Redis"
) -> None:
    raw.hset(keys.job(source.id), "expires_at", 1)
    assert again(queue, source).state is JobState.QUEUED
    raw.hset(keys.job(source.id), "expires_at", 2e9)
    queue.jobs.delete(source.key)
    assert again(queue, source).result_of is not None, "it shares with the one that waits"


def test_the_file_stays_until_the_last_that_has_it_is_gone(
    queue: Queue, raw: "redis.Redis", finished: FinishedJobs
) -> None:
    submit(queue)
    attempt = claim(queue)
    Leases(queue.connection, retention_seconds=100).complete(attempt, an_artifact(), a_report(), VERSION)
    source = attempt.job
    job = again(queue, source)
    assert raw.ttl(keys.sharers(source.id)) > 86_400, "as long as the record of the last, not of the first"
    files = AttemptKey(TENANT, source.id, attempt.token)
    assert not queue.jobs.delete(source.key)
    assert queue.leases.expired(MODEL) == [] and queue.leases.is_referenced(files)
    assert finished.like(TENANT, source.request, VERSION) is None
    queue.jobs.delete(job.key)
    assert source.key in queue.leases.expired(MODEL)
