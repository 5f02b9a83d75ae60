"""A job that cannot end in time fails for that reason, and is never started too late."""

from dataclasses import dataclass, field

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from workers.jobs import keys
from workers.jobs.job import GenerationRequest, Job, JobError, JobState, Priority
from workers.jobs.leases import MOST_ASKED, Attempt, BeatReply, Leases

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


@dataclass
class Knows:
    """That jobs take so long, by their number of steps; of other numbers nothing."""

    seconds: dict[int, float]
    asked: list[GenerationRequest] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def least_seconds(self, request: GenerationRequest) -> float | None:
        self.asked.append(request)
        return self.seconds.get(request.steps)

    def failed(self, job_id: str) -> None:
        self.ended.append(job_id)


def test_a_job_that_cannot_end_in_time_fails_when_it_would_be_started(queue: Queue, raw: "redis.Redis") -> None:
    knows = Knows({50: 100.0, 10: 20.0})
    leases = Leases(queue.connection, foresight=knows)
    hopeless, next_one = submit(queue, deadline_seconds=79), submit(queue, a_request(steps=10), deadline_seconds=30)
    attempt = leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == next_one.id
    ended = queue.jobs.get(hopeless.key)
    assert ended.error is not None
    assert (ended.state, ended.error.code, ended.attempts, ended.worker) == (
        JobState.FAILED,
        "deadline_exceeded",
        0,
        None,
    )
    assert ended.error.message.startswith("such a run takes at least 100.0 s, and 7")
    assert knows.ended == [hopeless.id]
    leases.complete(attempt, an_artifact(), a_report())
    assert stream_lengths(raw) == 0 and not raw.exists(f"{keys.root(MODEL)}:deadlines", f"{keys.root(MODEL)}:costs")


def test_a_job_that_may_just_make_it_is_tried(queue: Queue) -> None:
    job = submit(queue, deadline_seconds=90)
    attempt = Leases(queue.connection, foresight=Knows({50: 100.0})).claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == job.id


def test_nothing_fails_before_anything_was_measured_and_nobody_is_asked_of_jobs_without_a_deadline(
    queue: Queue,
) -> None:
    knows = Knows({})
    jobs = [submit(queue, deadline_seconds=60), submit(queue)]
    leases = Leases(queue.connection, foresight=knows)
    attempts = [leases.claim([MODEL], "w") for _ in jobs]
    assert [attempt and attempt.job.id for attempt in attempts] == [job.id for job in jobs]
    assert len(knows.asked) == 1


def test_of_another_job_that_comes_between_is_asked_anew(queue: Queue) -> None:
    submit(queue, deadline_seconds=50)

    class Interrupted(Knows):
        def least_seconds(self, request: GenerationRequest) -> float | None:
            if not self.asked:
                submit(queue, a_request(steps=10), priority=Priority.HIGH, deadline_seconds=1000)
            return super().least_seconds(request)

    knows = Interrupted({50: 100.0, 10: 100.0})
    attempt = Leases(queue.connection, foresight=knows).claim([MODEL], "w")
    assert attempt is not None and attempt.job.priority is Priority.HIGH
    assert [request.steps for request in knows.asked] == [50, 10] and knows.ended == []


def test_a_flood_of_jobs_that_cannot_end_in_time_is_worked_off_in_several_claims(queue: Queue) -> None:
    for _ in range(MOST_ASKED):
        submit(queue, deadline_seconds=60)
    last = submit(queue)
    knows = Knows({50: 100.0})
    leases = Leases(queue.connection, foresight=knows)
    assert leases.claim([MODEL], "w") is None
    assert leases.wait([MODEL], 5.0), "there may be more"
    attempt = leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == last.id
    assert len(knows.ended) == MOST_ASKED


def test_who_shares_the_computation_of_a_job_that_cannot_end_in_time_takes_its_place(queue: Queue) -> None:
    hopeless, patient = submit(queue, deadline_seconds=60, shares=True), submit(queue, shares=True)
    assert patient.result_of == hopeless.id
    attempt = Leases(queue.connection, foresight=Knows({50: 100.0})).claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == patient.id
    assert queue.jobs.get(hopeless.key).state is JobState.FAILED


def test_a_request_that_cannot_be_read_is_no_reason_to_fail_early(queue: Queue, raw: "redis.Redis") -> None:
    job = submit(queue, deadline_seconds=60)
    raw.hset(keys.job(job.id), "request", "{}")
    knows = Knows({50: 100.0})
    assert Leases(queue.connection, foresight=knows).claim([MODEL], "w") is None
    assert (knows.asked, knows.ended) == ([], [])
    assert queue.jobs.get(job.key).state is JobState.FAILED, "as any record that this version cannot read"
