"""A job that cannot end in time fails for that reason, and is never started too late."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, a_report, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from workers.jobs import keys
from workers.jobs.job import Job, JobError, JobState
from workers.jobs.leases import Attempt, BeatReply

pytestmark = every_redis
ERROR = JobError(code="generation_failed", message="it failed")


def pass_by(raw: "redis.Redis", job: Job) -> None:
    """Let the job's deadline be over."""
    raw.hset(keys.job(job.id), "deadline_at", "1")
    raw.zadd(f"{keys.root(MODEL)}:deadlines", {job.id: 1}, xx=True)


def assert_late(queue: Queue, job: Job) -> None:
    ended = queue.jobs.get(job.key)
    assert ended.error is not None
    assert (ended.state, ended.error.code, ended.artifact) == (JobState.FAILED, "deadline_exceeded", None)
    assert queue.inspection.depth(MODEL).queued == queue.inspection.depth(MODEL).running == 0


def a_running_job_that_is_late(queue: Queue, raw: "redis.Redis") -> Attempt:
    submit(queue, deadline_seconds=60)
    attempt = claim(queue)
    pass_by(raw, attempt.job)
    return attempt


def test_a_deadline_counts_from_the_submission_by_the_clock_of_redis(queue: Queue) -> None:
    job = submit(queue, deadline_seconds=1.5)
    assert job.deadline_at == pytest.approx(job.created_at + 1.5, abs=1e-5)
    assert submit(queue).deadline_at is None


def test_a_job_is_never_started_after_its_deadline(queue: Queue, raw: "redis.Redis") -> None:
    late, in_time = submit(queue, deadline_seconds=60), submit(queue, deadline_seconds=60)
    pass_by(raw, late)
    assert claim(queue).job.id == in_time.id
    assert queue.leases.claim([MODEL], "w") is None
    assert queue.jobs.get(late.key).state is JobState.QUEUED, "until somebody ends it"
    assert queue.jobs.end_overdue(MODEL) == [late.id]
    assert queue.jobs.end_overdue(MODEL) == []


def test_a_queued_job_ends_at_its_deadline_without_any_worker(queue: Queue, raw: "redis.Redis") -> None:
    late, others = submit(queue, deadline_seconds=60), [submit(queue), submit(queue, deadline_seconds=60)]
    pass_by(raw, late)
    assert queue.jobs.end_overdue(MODEL) == [late.id]
    for job in others:
        assert queue.jobs.get(job.key).state is JobState.QUEUED
        queue.jobs.cancel(job.key)
    assert_late(queue, late)
    assert stream_lengths(raw) == 0 and not raw.exists(f"{keys.root(MODEL)}:deadlines")


def test_a_running_job_is_told_to_stop_and_fails_whatever_its_worker_reports(queue: Queue, raw: "redis.Redis") -> None:
    for end in (
        lambda attempt: queue.leases.complete(attempt, an_artifact(), a_report()),
        lambda attempt: queue.leases.cancel(attempt),
        lambda attempt: queue.leases.release(attempt),
        lambda attempt: queue.leases.fail(attempt, ERROR, 3),
    ):
        attempt = a_running_job_that_is_late(queue, raw)
        assert queue.leases.beat(attempt, "denoise", 3) is BeatReply.LATE
        assert [end(attempt).state for _ in range(2)] == [JobState.FAILED] * 2
        assert_late(queue, attempt.job)


def test_a_late_job_of_a_silent_worker_is_not_tried_again(queue: Queue, raw: "redis.Redis") -> None:
    attempt = a_running_job_that_is_late(queue, raw)
    end_lease(raw, attempt)
    [reaped] = queue.leases.reap(MODEL)
    assert reaped.state is JobState.FAILED
    assert_late(queue, attempt.job)


def test_a_cancel_comes_before_the_deadline_as_the_client_was_told(queue: Queue, raw: "redis.Redis") -> None:
    attempt = a_running_job_that_is_late(queue, raw)
    queue.jobs.cancel(attempt.job.key)
    assert queue.leases.beat(attempt) is BeatReply.STOP
    assert queue.leases.complete(attempt, an_artifact(), a_report()).state is JobState.CANCELLED


def test_a_job_that_is_given_back_still_has_its_deadline(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue, deadline_seconds=60)
    attempt = claim(queue)
    assert not raw.exists(f"{keys.root(MODEL)}:deadlines"), "the record has it"
    queue.leases.release(attempt)
    pass_by(raw, attempt.job)
    assert queue.leases.claim([MODEL], "w") is None
    assert queue.jobs.end_overdue(MODEL) == [attempt.job.id]
    assert_late(queue, attempt.job)
