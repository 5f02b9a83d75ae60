"""Identical jobs of a tenant are computed once, and each is a job of its own all the same."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim, end_lease, stream_lengths
from tests.workers.jobs.shared import complete, get, shared, two
from workers.jobs import keys
from workers.jobs.errors import JobNotFound, QueueFull
from workers.jobs.events import START, Events
from workers.jobs.job import Job, JobError, JobKey, JobState, Priority, new_job_id
from workers.jobs.leases import BeatReply
from workers.jobs.queue import Jobs, QueueLimits
from workers.jobs.usage import Usage, UsageRecords

pytestmark = every_redis
ERROR = JobError(code="generation_failed", message="it failed")


def nothing_is_left(raw: "redis.Redis") -> bool:
    root = keys.root(MODEL)
    there = raw.exists(f"{root}:alike", f"{root}:sharing", f"{root}:waiting:{TENANT}", f"{root}:costs")
    return stream_lengths(raw) == 0 and not there and not list(raw.scan_iter(f"{root}:sharers:*"))


def test_identical_jobs_are_computed_once_and_have_the_same_result(queue: Queue) -> None:
    first, second = two(queue)
    attempt = claim(queue)
    assert attempt.job.id == first.id and queue.leases.claim([MODEL], "w") is None
    complete(queue, attempt)
    one, other = get(queue, first), get(queue, second)
    assert one.state is other.state is JobState.COMPLETED
    assert (other.artifact, other.report) == (one.artifact, one.report) == (an_artifact(), a_report())
    assert other.expires_at is not None and other.result_of == first.id


@pytest.mark.parametrize(
    "other",
    [
        lambda queue: submit(queue),
        lambda queue: shared(queue, a_request(prompt="another")),
        lambda queue: shared(queue, a_request(sf=11)),
        lambda queue: shared(queue, tenant="beta"),
    ],
    ids=["one that may not be shared", "another prompt", "another sf", "another tenant's"],
)
def test_what_is_not_identical_is_computed_by_itself(queue: Queue, other: Callable[[Queue], Job]) -> None:
    shared(queue)
    assert other(queue).result_of is None
    assert queue.inspection.depth(MODEL).queued == 2


def test_what_comes_after_the_end_is_computed_again(queue: Queue, raw: "redis.Redis") -> None:
    two(queue)
    complete(queue, claim(queue))
    assert shared(queue).result_of is None
    complete(queue, claim(queue))
    assert not raw.exists(f"{keys.root(MODEL)}:alike", f"{keys.root(MODEL)}:sharing", f"{keys.root(MODEL)}:costs")


def test_progress_is_shown_of_all_also_to_one_that_comes_late(queue: Queue) -> None:
    first, second = two(queue)
    assert queue.jobs.position(second) == queue.jobs.position(first) == 0
    attempt = claim(queue)
    queue.leases.beat(attempt, "denoise", 7)
    late = shared(queue)
    assert late.result_of == first.id
    queue.leases.beat(attempt, "decode", 9)
    for job in (second, late):
        now = get(queue, job)
        assert (now.state, now.stage, now.step, now.worker, now.attempts) == (
            JobState.RUNNING, "decode", 9, attempt.job.worker, 1,
        )  # fmt: skip
        assert now.started_at == attempt.job.started_at


def test_each_has_its_own_events(queue: Queue, redis_url: str) -> None:
    first, second = two(queue)
    attempt = claim(queue)
    queue.leases.beat(attempt, "denoise", 1)
    complete(queue, attempt)

    async def told(job: Job) -> list[dict[str, str]]:
        events = Events(redis_url)
        try:
            return [event.model_dump(exclude={"id", "job_id"}) for event in await events.read({job.id: START})]
        finally:
            await events.close()

    assert asyncio.run(told(second)) == asyncio.run(told(first)) != []


@pytest.mark.parametrize("end", ["cancel", "delete"])
@pytest.mark.parametrize("running", [False, True])
def test_who_shares_may_leave_and_the_other_goes_on(queue: Queue, raw: "redis.Redis", end: str, running: bool) -> None:
    first, second = two(queue)
    attempt = claim(queue) if running else None
    if end == "cancel":
        assert queue.jobs.cancel(second.key).state is JobState.CANCELLED
    else:
        queue.jobs.delete(second.key)
        with pytest.raises(JobNotFound):
            get(queue, second)
    attempt = attempt or claim(queue)
    assert attempt.job.id == first.id and queue.leases.beat(attempt) is BeatReply.OK
    complete(queue, attempt)
    assert get(queue, first).state is JobState.COMPLETED
    assert end == "delete" or get(queue, second).state is JobState.CANCELLED
    assert nothing_is_left(raw)


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_one_that_waits_and_is_cancelled_leaves_its_place_to_the_others(
    queue: Queue, raw: "redis.Redis", end: str
) -> None:
    first, second = two(queue)
    third = shared(queue)
    behind = submit(queue)
    getattr(queue.jobs, end)(first.key)
    assert (get(queue, second).result_of, get(queue, third).result_of) == (None, second.id)
    assert [queue.jobs.position(get(queue, job)) for job in (second, third, behind)] == [0, 0, 1]
    assert shared(queue).result_of == second.id
    attempt = claim(queue)
    assert attempt.job.id == second.id
    complete(queue, attempt)
    assert get(queue, third).state is JobState.COMPLETED
    complete(queue, claim(queue))
    assert not raw.exists(f"{keys.root(MODEL)}:alike", f"{keys.root(MODEL)}:sharing", f"{keys.root(MODEL)}:costs")


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_one_that_runs_and_is_cancelled_stops_and_another_is_run_next(queue: Queue, end: str) -> None:
    first, second = two(queue)
    third = shared(queue)
    attempt = claim(queue)
    queue.leases.beat(attempt, "denoise", 9)
    submit(queue, priority=Priority.HIGH)
    getattr(queue.jobs, end)(first.key)
    assert queue.leases.beat(attempt) is BeatReply.STOP
    queue.leases.cancel(attempt)
    for job in (second, third):
        now = get(queue, job)
        assert (now.state, now.step, now.worker, now.started_at) == (JobState.QUEUED, 0, None, None)
    again = claim(queue)
    assert (again.job.id, again.job.attempts) == (second.id, 1)
    complete(queue, again)
    assert get(queue, second).state is get(queue, third).state is JobState.COMPLETED


def test_a_failure_is_that_of_all(queue: Queue, raw: "redis.Redis") -> None:
    first, second = two(queue)
    queue.leases.fail(claim(queue), ERROR, 1)
    assert get(queue, first).error == get(queue, second).error == ERROR
    assert get(queue, second).state is JobState.FAILED and get(queue, second).artifact is None
    assert nothing_is_left(raw)


def test_a_silent_worker_costs_an_attempt_of_all_and_the_last_one_ends_all(queue: Queue, raw: "redis.Redis") -> None:
    jobs = two(queue)
    for _ in range(3):
        attempt = claim(queue)
        assert {get(queue, job).attempts for job in jobs} == {attempt.job.attempts}
        end_lease(raw, attempt)
        queue.leases.reap(MODEL)
    assert {get(queue, job).state for job in jobs} == {JobState.DEAD}
    assert queue.inspection.dead_letters(MODEL) == 1 and nothing_is_left(raw)


def test_what_is_given_back_waits_again_for_all(queue: Queue) -> None:
    first, second = two(queue)
    queue.leases.release(claim(queue))
    assert (get(queue, second).state, get(queue, second).result_of) == (JobState.QUEUED, first.id)
    complete(queue, claim(queue))
    assert get(queue, second).state is JobState.COMPLETED


def test_a_deadline_ends_only_the_job_that_has_it(queue: Queue, raw: "redis.Redis") -> None:
    first, second = shared(queue, deadline_seconds=60), shared(queue)
    third = shared(queue, deadline_seconds=60)

    def pass_by(job: Job) -> None:
        raw.hset(keys.job(job.id), "deadline_at", "1")
        raw.zadd(f"{keys.root(MODEL)}:deadlines", {job.id: 1}, xx=True)

    pass_by(first)
    assert queue.jobs.end_overdue(MODEL) == [first.id]
    attempt = claim(queue)
    assert attempt.job.id == second.id and get(queue, third).result_of == second.id
    pass_by(third)
    assert queue.jobs.end_overdue(MODEL) == [third.id], "also while the other runs"
    assert queue.leases.beat(attempt) is BeatReply.OK
    complete(queue, attempt)
    states = [get(queue, job).state for job in (first, second, third)]
    assert states == [JobState.FAILED, JobState.COMPLETED, JobState.FAILED]
    assert get(queue, first).error == get(queue, third).error


def test_a_more_urgent_one_takes_the_other_along(queue: Queue) -> None:
    low = shared(queue, priority=Priority.LOW)
    submit(queue)
    high = shared(queue, priority=Priority.HIGH)
    assert high.result_of == low.id and queue.jobs.position(high) == 0
    assert claim(queue).job.id == low.id


def test_sharing_jobs_count_among_those_that_wait_and_only_a_hundred_share(queue: Queue, raw: "redis.Redis") -> None:
    jobs = Jobs(queue.connection, limits=QueueLimits(queued=1, queued_of_tenant=103))
    submitted = []
    with pytest.raises(QueueFull, match="1 jobs wait"):
        for _ in range(103):
            key = JobKey(TENANT, new_job_id(MODEL))
            submitted.append(jobs.submit(key, priority=Priority.NORMAL, request=a_request(), metadata={}, shares=True))
    assert len(submitted) == 101
    assert queue.inspection.depth(MODEL).queued == 1
    complete(queue, claim(queue))
    assert {get(queue, job).state for job in submitted} == {JobState.COMPLETED}
    assert not raw.exists(f"{keys.root(MODEL)}:waiting:{TENANT}", f"{keys.root(MODEL)}:costs")


def test_only_what_was_computed_is_counted_as_computed(queue: Queue, raw: "redis.Redis") -> None:
    two(queue)
    attempt = claim(queue)
    raw.hset(keys.job(attempt.job.id), "started_at", str(raw.time()[0] - 100))
    complete(queue, attempt)
    used = UsageRecords(queue.connection).totals([MODEL])[TENANT][MODEL]
    assert 95 < used.device_seconds < 110
    seconds = {"device_seconds": used.device_seconds}
    assert used == Usage(submitted=2, completed=2, shared=1, full_steps=20, cached_steps=30).model_copy(update=seconds)
    assert len(queue.inspection.last_completed(MODEL, 10)) == 1


def test_each_tells_its_own_receiver(queue: Queue, raw: "redis.Redis") -> None:
    for url in ("https://a.example.com", "https://b.example.com"):
        key = JobKey(TENANT, new_job_id(MODEL))
        queue.jobs.submit(key, priority=Priority.NORMAL, request=a_request(), metadata={}, webhook_url=url, shares=True)
    complete(queue, claim(queue))
    messages = raw.zrange(keys.deliveries(MODEL, TENANT), 0, -1)
    assert {raw.hget(keys.delivery(message), "url") for message in messages} == {
        "https://a.example.com", "https://b.example.com",
    }  # fmt: skip


def test_of_submissions_at_the_same_time_one_is_computed(queue: Queue) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda _: shared(queue), range(24)))
    [computed] = [job for job in jobs if job.result_of is None]
    assert {job.result_of for job in jobs if job is not computed} == {computed.id}


@pytest.mark.parametrize("became", ["completed", "failed", "gone"])
def test_what_a_worker_of_before_left_behind_is_put_right(queue: Queue, raw: "redis.Redis", became: str) -> None:
    """It ends the job that it ran, and knows nothing of others."""
    first, second = two(queue)
    attempt = claim(queue)
    if became == "gone":
        raw.delete(keys.job(first.id))
    else:
        result = {"artifact": an_artifact().model_dump_json(), "report": a_report().model_dump_json(), "step": 50}
        raw.hset(keys.job(attempt.job.id), mapping={"state": became} | (result if became == "completed" else {}))
    assert queue.jobs.end_overdue(MODEL) == []
    if became == "completed":
        assert get(queue, second).artifact == an_artifact()
    else:
        assert get(queue, second).result_of is None and claim(queue).job.id == second.id
    assert not raw.exists(f"{keys.root(MODEL)}:sharing")
