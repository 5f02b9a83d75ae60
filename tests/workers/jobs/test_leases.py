"""What workers do with jobs: every transition of an attempt."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.waiting import wait_until
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from workers.jobs import keys
from workers.jobs.errors import LeaseLost
from workers.jobs.job import AttemptKey, JobError, JobState, Priority
from workers.jobs.leases import Attempt, BeatReply, Settled

pytestmark = every_redis

ERROR = JobError(code="worker_crashed", message="it crashed")

Write = Callable[[Queue, Attempt], Settled]
WRITES: dict[str, Write] = {
    "complete": lambda queue, attempt: queue.leases.complete(attempt, an_artifact(), a_report()),
    "fail": lambda queue, attempt: queue.leases.fail(attempt, ERROR, 3),
    "cancel": lambda queue, attempt: queue.leases.cancel(attempt),
    "release": lambda queue, attempt: queue.leases.release(attempt),
}
each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


def test_jobs_are_claimed_by_priority_then_in_order(queue: Queue) -> None:
    submitted = {
        priority: [submit(queue, priority=priority).id for _ in range(2)]
        for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH)
    }
    claimed = [claim(queue).job.id for _ in range(6)]
    assert claimed == submitted[Priority.HIGH] + submitted[Priority.NORMAL] + submitted[Priority.LOW]
    assert queue.leases.claim([MODEL], "worker") is None


def test_a_claimed_job_is_running_under_its_worker(queue: Queue) -> None:
    submit(queue)
    attempt = claim(queue, "gpu-1")
    assert attempt.job == queue.jobs.get(attempt.job.key)
    assert (attempt.job.state, attempt.job.worker, attempt.job.attempts) == (JobState.RUNNING, "gpu-1", 1)
    assert attempt.job.started_at is not None
    assert attempt.waited_seconds == pytest.approx(attempt.job.started_at - attempt.job.created_at)


def test_a_job_is_claimed_once_however_many_ask(queue: Queue) -> None:
    submitted = {submit(queue).id for _ in range(20)}
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda n: queue.leases.claim([MODEL], f"worker-{n}"), range(60)))
    got = [attempt.job.id for attempt in claims if attempt]
    assert len(got) == 20
    assert set(got) == submitted


def test_a_worker_only_gets_jobs_of_its_models(queue: Queue) -> None:
    submit(queue, a_request(model="flux"))
    assert queue.leases.claim([MODEL], "worker") is None
    assert queue.leases.claim([MODEL, "flux"], "worker") is not None


def test_waiting_sees_a_job_that_came_between_claim_and_wait(queue: Queue) -> None:
    assert queue.leases.claim([MODEL], "worker") is None
    assert not queue.leases.wait([MODEL], 0.001)
    submit(queue, priority=Priority.LOW)
    assert queue.leases.wait([MODEL], 5)
    claim(queue)
    assert queue.leases.claim([MODEL], "worker") is None
    assert not queue.leases.wait([MODEL], 0.001), "what another worker took wakes nobody twice"


def test_a_job_wakes_a_worker_that_waits(queue: Queue) -> None:
    assert queue.leases.claim([MODEL], "worker") is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: queue.leases.wait([MODEL], 5))
        submit(queue)
        assert waiting.result()


def test_a_requeued_job_wakes_a_worker_too(queue: Queue) -> None:
    submit(queue)
    attempt = claim(queue)
    assert queue.leases.claim([MODEL], "other") is None
    queue.leases.release(attempt)
    assert queue.leases.wait([MODEL], 5)


def test_beats_renew_the_lease_and_note_progress(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    end_lease(raw, attempt)
    assert queue.leases.beat(attempt, "denoise", 3) is BeatReply.OK
    assert queue.leases.reap(MODEL) == []
    job = queue.jobs.get(attempt.job.key)
    assert (job.stage, job.step) == ("denoise", 3)

    queue.leases.beat(attempt, "decode", 2)
    job = queue.jobs.get(attempt.job.key)
    assert (job.stage, job.step) == ("decode", 3), "progress never goes back"


def test_events_tell_a_jobs_story(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    queue.leases.beat(attempt, "denoise", 1)
    queue.leases.beat(attempt, "denoise", 1)
    queue.leases.complete(attempt, an_artifact(), a_report())
    key = f"{keys.root(MODEL)}:events:{attempt.job.id}"
    story = [tuple(fields.values()) for _, fields in raw.xrange(key)]
    assert story == [
        ("state", "running"),
        ("stage", "denoise"),
        ("step", "1"),
        ("state", "completed"),
    ]
    assert 0 < raw.ttl(key) <= 10, "longer than any reader waits, and no longer"


def test_a_completed_job_has_its_artifact_and_report(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    settled = queue.leases.complete(attempt, an_artifact(), a_report())
    job = queue.jobs.get(attempt.job.key)
    assert (job.state, job.artifact, job.report, job.error) == (JobState.COMPLETED, an_artifact(), a_report(), None)
    assert job.step == a_report().steps
    assert job.completed_at is not None
    assert settled == Settled(JobState.COMPLETED, pytest.approx(job.completed_at - job.created_at, abs=1e-5))
    assert stream_lengths(raw) == 0
    assert queue.inspection.depth(MODEL).running == 0


@each_write
def test_a_write_whose_reply_was_lost_is_answered_again(queue: Queue, write: Write) -> None:
    submit(queue)
    attempt = claim(queue)
    first = write(queue, attempt)
    job = queue.jobs.get(attempt.job.key)
    assert write(queue, attempt).state is first.state
    assert queue.jobs.get(attempt.job.key) == job


@each_write
@pytest.mark.parametrize("claimed_again", [False, True])
def test_a_stale_token_is_refused_on_every_write(
    queue: Queue, raw: "redis.Redis", write: Write, claimed_again: bool
) -> None:
    submit(queue)
    stale = claim(queue, "zombie")
    end_lease(raw, stale)
    assert [reaped.state for reaped in queue.leases.reap(MODEL)] == [JobState.QUEUED]
    if claimed_again:
        claim(queue, "heir")
    before = queue.jobs.get(stale.job.key)

    assert queue.leases.beat(stale, "decode", 49) is BeatReply.LOST
    with pytest.raises(LeaseLost):
        write(queue, stale)
    assert queue.jobs.get(stale.job.key) == before


@each_write
def test_a_terminal_state_never_changes(queue: Queue, write: Write, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    queue.leases.fail(attempt, ERROR, 1)
    failed = queue.jobs.get(attempt.job.key)

    write(queue, attempt)
    queue.leases.reap(MODEL)
    queue.leases.beat(attempt)
    queue.jobs.cancel(attempt.job.key)
    assert queue.jobs.get(attempt.job.key) == failed
    assert queue.leases.claim([MODEL], "worker") is None


@each_write
def test_an_accepted_cancel_wins_over_whatever_the_worker_reports(queue: Queue, write: Write) -> None:
    submit(queue)
    attempt = claim(queue)
    queue.jobs.cancel(attempt.job.key)
    assert write(queue, attempt).state is JobState.CANCELLED
    job = queue.jobs.get(attempt.job.key)
    assert (job.state, job.artifact) == (JobState.CANCELLED, None)


def test_an_accepted_cancel_wins_over_the_reaper(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    queue.jobs.cancel(attempt.job.key)
    end_lease(raw, attempt)
    assert [reaped.state for reaped in queue.leases.reap(MODEL)] == [JobState.CANCELLED]


def test_a_released_job_is_next_and_its_attempt_does_not_count(queue: Queue) -> None:
    submit(queue, priority=Priority.LOW)
    attempt = claim(queue)
    queue.leases.beat(attempt, "denoise", 7)
    submit(queue, priority=Priority.HIGH)
    queue.leases.release(attempt)

    job = queue.jobs.get(attempt.job.key)
    assert (job.state, job.attempts, job.worker, job.stage, job.step) == (JobState.QUEUED, 0, None, None, 0)
    again = claim(queue)
    assert (again.job.id, again.job.attempts) == (attempt.job.id, 1)
    assert again.token != attempt.token


def test_a_job_that_always_fails_is_dead_after_its_last_attempt(queue: Queue, raw: "redis.Redis") -> None:
    submitted = submit(queue)
    for attempt_number in (1, 2, 3):
        attempt = claim(queue)
        assert attempt.job.attempts == attempt_number
        queue.leases.fail(attempt, ERROR, 3)
    job = queue.jobs.get(submitted.key)
    assert (job.state, job.attempts, job.error) == (JobState.DEAD, 3, ERROR)
    [(_, letter)] = raw.xrange(f"{keys.root(MODEL)}:dead")
    assert letter["job"] == submitted.id


def test_an_error_without_retries_fails_the_job_at_once(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    attempt = claim(queue)
    assert queue.leases.fail(attempt, ERROR, 1).state is JobState.FAILED
    assert raw.xlen(f"{keys.root(MODEL)}:dead") == 0


def test_a_job_whose_workers_all_go_silent_is_dead_after_three(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    states = []
    for _ in range(3):
        end_lease(raw, claim(queue))
        states += [reaped.state for reaped in queue.leases.reap(MODEL)]
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.DEAD]
    assert queue.leases.reap(MODEL) == []


def test_a_lease_that_has_not_ended_is_not_reaped(queue: Queue) -> None:
    submit(queue)
    claim(queue)
    assert queue.leases.reap(MODEL) == []


def test_leases_end_by_the_clock_of_redis(redis_url: str) -> None:
    queue = Queue.open(redis_url, lease_seconds=0.05)
    submit(queue)
    attempt = claim(queue)
    reaped = wait_until(lambda: queue.leases.reap(MODEL))
    assert [(job.job_id, job.state) for job in reaped] == [(attempt.job.id, JobState.QUEUED)]
    queue.close()


def test_an_entry_without_a_record_is_dropped(queue: Queue, raw: "redis.Redis") -> None:
    gone, job = submit(queue), submit(queue)
    raw.delete(keys.job(gone.id))
    assert claim(queue).job.id == job.id
    assert stream_lengths(raw) == 1


@pytest.mark.parametrize("request_text", ['{"from": "the future"}', '{"prompt": "cut sh', "[" * 10_000])
def test_a_record_that_this_version_cannot_read_fails_and_blocks_nobody(
    queue: Queue, raw: "redis.Redis", request_text: str
) -> None:
    strange, job = submit(queue), submit(queue)
    raw.hset(keys.job(strange.id), "request", request_text)
    assert queue.leases.claim([MODEL], "worker") is None
    assert claim(queue).job.id == job.id
    assert raw.hget(keys.job(strange.id), "state") == "failed"


def test_work_goes_on_after_redis_came_back_empty(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue)
    lost = claim(queue)
    raw.flushall()
    raw.script_flush()

    assert queue.leases.beat(lost) is BeatReply.LOST
    with pytest.raises(LeaseLost):
        queue.leases.complete(lost, an_artifact(), a_report())
    assert queue.leases.reap(MODEL) == []
    job = submit(queue)
    assert claim(queue).job.id == job.id


def test_only_the_files_of_a_running_or_winning_attempt_are_referenced(queue: Queue) -> None:
    submit(queue)
    first = claim(queue)
    assert queue.leases.is_referenced(first.key)
    queue.leases.release(first)
    assert not queue.leases.is_referenced(first.key)
    second = claim(queue)
    queue.leases.complete(second, an_artifact(), a_report())
    assert queue.leases.is_referenced(second.key)
    assert not queue.leases.is_referenced(first.key)
    assert not queue.leases.is_referenced(AttemptKey(TENANT, "no-job-id", first.token))
