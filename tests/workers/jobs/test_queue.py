"""What the service does with jobs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim, stream_lengths
from workers.jobs import keys
from workers.jobs.errors import IdempotencyConflict, InvalidRequest, JobNotFound
from workers.jobs.job import Job, JobState, Priority, new_job_id
from workers.jobs.queue import BeatReply, JobQueue

pytestmark = every_redis


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]


def test_a_submitted_job_is_queued_with_all_it_was_given(queue: JobQueue) -> None:
    request = a_request("ein roter Ball, 红球 🎈\nzweite Zeile")
    job_id = new_job_id(MODEL)
    job = queue.submit(
        job_id=job_id, tenant=TENANT, priority=Priority.HIGH, request=request, metadata={"Ä": "ü", "": ""}
    )

    assert job == queue.get(job_id, TENANT)
    assert (job.id, job.tenant, job.priority, job.request) == (job_id, TENANT, Priority.HIGH, request)
    assert job.metadata == {"Ä": "ü", "": ""}
    assert (job.state, job.attempts, job.step, job.started_at, job.expires_at) == (JobState.QUEUED, 0, 0, None, None)


def test_a_second_submission_of_an_id_changes_nothing(queue: JobQueue) -> None:
    job = submit(queue)
    again = queue.submit(
        job_id=job.id, tenant=TENANT, priority=Priority.HIGH, request=a_request("another"), metadata={"a": "b"}
    )
    assert again == job
    assert queue.depth(MODEL).queued == 1


@pytest.mark.parametrize(
    "job_id", [pytest.param(new_job_id(MODEL), id="new"), "video_wan-tiny_1", "", "{q:wan-tiny}:leases"]
)
def test_an_unknown_id_is_not_found(queue: JobQueue, job_id: str) -> None:
    for call in (queue.get, queue.cancel, queue.delete):
        with pytest.raises(JobNotFound):
            call(job_id, TENANT)


def test_another_tenant_finds_nothing(queue: JobQueue) -> None:
    job = submit(queue)
    for call in (queue.get, queue.cancel, queue.delete):
        with pytest.raises(JobNotFound):
            call(job.id, "other")
    with pytest.raises(JobNotFound):
        queue.submit(job_id=job.id, tenant="other", priority=Priority.LOW, request=a_request(), metadata={})
    assert queue.list("other", [MODEL], after=None, limit=10, ascending=True) == ([], False)
    assert queue.get(job.id, TENANT) == job


def test_a_queued_job_is_cancelled_at_once(queue: JobQueue, raw: "redis.Redis") -> None:
    job = submit(queue)
    cancelled = queue.cancel(job.id, TENANT)

    assert cancelled.state is JobState.CANCELLED
    assert cancelled.error is not None
    assert cancelled.error.code == "cancelled"
    assert cancelled.completed_at is not None
    assert cancelled.expires_at == pytest.approx(cancelled.completed_at + 86400)
    assert queue.cancel(job.id, TENANT) == cancelled
    assert queue.claim([MODEL], "worker") is None
    assert stream_lengths(raw) == 0


def test_a_running_job_is_asked_to_stop(queue: JobQueue) -> None:
    submit(queue)
    attempt = claim(queue)
    asked = queue.cancel(attempt.job.id, TENANT)
    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert queue.beat(attempt) is BeatReply.STOP


def test_a_finished_job_stays_as_it_is(queue: JobQueue) -> None:
    submit(queue)
    attempt = claim(queue)
    queue.complete(attempt, an_artifact(), a_report())
    finished = queue.get(attempt.job.id, TENANT)
    assert queue.cancel(attempt.job.id, TENANT) == finished


def test_deleting_removes_every_trace_but_what_the_sweep_needs(queue: JobQueue, raw: "redis.Redis") -> None:
    job = submit(queue)
    queue.delete(job.id, TENANT)

    with pytest.raises(JobNotFound):
        queue.get(job.id, TENANT)
    assert queue.list(TENANT, [MODEL], after=None, limit=10, ascending=True) == ([], False)
    [expired] = queue.expired(MODEL)
    assert (expired.job_id, expired.tenant) == (job.id, TENANT)
    queue.forget(expired)
    assert [key for key in raw.scan_iter() if ":stream:" not in key] == []
    assert stream_lengths(raw) == 0


def test_deleting_a_running_job_hides_it_and_takes_its_prompt(queue: JobQueue, raw: "redis.Redis") -> None:
    submit(queue, a_request("a secret"))
    attempt = claim(queue)
    queue.delete(attempt.job.id, TENANT)

    with pytest.raises(JobNotFound):
        queue.get(attempt.job.id, TENANT)
    assert "a secret" not in str(raw.hgetall(keys.job(attempt.job.id)))
    assert queue.beat(attempt) is BeatReply.STOP
    assert queue.complete(attempt, an_artifact(), a_report()).state is JobState.CANCELLED
    assert not raw.exists(keys.job(attempt.job.id))
    assert [expired.job_id for expired in queue.expired(MODEL)] == [attempt.job.id]


def test_an_id_that_was_deleted_and_submitted_anew_outlives_the_sweep(queue: JobQueue) -> None:
    job = submit(queue)
    queue.delete(job.id, TENANT)
    [expired] = queue.expired(MODEL)
    again = queue.submit(job_id=job.id, tenant=TENANT, priority=Priority.LOW, request=a_request(), metadata={})
    queue.forget(expired)
    assert queue.get(job.id, TENANT) == again


def test_records_are_kept_for_the_retention_and_forgotten_after(redis_url: str, raw: "redis.Redis") -> None:
    brief = JobQueue(redis_url, retention_seconds=0)
    job = submit(brief)
    assert raw.ttl(keys.job(job.id)) == -1, "a job that has not ended never expires"
    brief.cancel(job.id, TENANT)
    assert raw.ttl(keys.job(job.id)) > 0
    [expired] = brief.expired(MODEL)
    brief.forget(expired)
    with pytest.raises(JobNotFound):
        brief.get(job.id, TENANT)
    brief.close()


def test_lists_page_through_the_models_of_a_tenant_in_order(queue: JobQueue) -> None:
    models = (MODEL, "flux")
    jobs = [submit(queue, a_request(model=models[n % 2])) for n in range(7)]
    submit(queue, tenant="other")

    for ascending, expected in ((True, ids(jobs)), (False, ids(jobs)[::-1])):
        seen: list[str] = []
        more = True
        while more:
            after = seen[-1] if seen else None
            page, more = queue.list(TENANT, models, after=after, limit=3, ascending=ascending)
            seen += ids(page)
        assert seen == expected
    assert ids(queue.list(TENANT, ["flux"], after=None, limit=10, ascending=True)[0]) == ids(jobs)[1::2]


def test_a_list_after_an_unknown_job_is_refused(queue: JobQueue) -> None:
    for after in (new_job_id(MODEL), "nonsense"):
        with pytest.raises(InvalidRequest, match="after"):
            queue.list(TENANT, [MODEL], after=after, limit=3, ascending=True)


def test_position_counts_what_will_start_first(queue: JobQueue) -> None:
    low, normal, high = (submit(queue, priority=priority) for priority in (Priority.LOW, "normal", Priority.HIGH))
    second = submit(queue)
    assert [queue.position(job) for job in (high, normal, second, low)] == [0, 1, 2, 3]

    attempt = claim(queue)
    assert attempt.job.id == high.id
    assert queue.position(attempt.job) is None
    assert queue.position(high) is None, "claimed since it was read"
    queue.release(attempt)
    assert [queue.position(queue.get(job.id, TENANT)) for job in (high, normal, low)] == [0, 1, 3]


def test_depth_counts_waiting_and_running_jobs(queue: JobQueue) -> None:
    empty = queue.depth(MODEL)
    assert (empty.queued, empty.running, empty.oldest_seconds) == (0, 0, 0)
    submit(queue)
    submit(queue, priority=Priority.LOW)
    claim(queue)
    depth = queue.depth(MODEL)
    assert (depth.queued, depth.running) == (1, 1)
    assert depth.oldest_seconds > 0
    assert queue.depth("flux").queued == 0


def test_the_first_caller_with_an_idempotency_key_decides_the_id(queue: JobQueue) -> None:
    wanted = [new_job_id(MODEL) for _ in range(50)]
    with ThreadPoolExecutor(16) as pool:
        got = set(pool.map(lambda job_id: queue.reserve(TENANT, "key", "body", job_id, 60), wanted))
    assert len(got) == 1
    assert got < set(wanted)
    assert queue.reserve("other", "key", "body", wanted[0], 60) == wanted[0], "keys belong to their tenant"
    with pytest.raises(IdempotencyConflict) as conflict:
        queue.reserve(TENANT, "key", "another body", new_job_id(MODEL), 60)
    assert conflict.value.param == "Idempotency-Key"


def test_the_same_id_submitted_50_times_in_parallel_is_one_job(queue: JobQueue) -> None:
    job_id = new_job_id(MODEL)

    def send(_: int) -> Job:
        return queue.submit(job_id=job_id, tenant=TENANT, priority=Priority.NORMAL, request=a_request(), metadata={})

    with ThreadPoolExecutor(16) as pool:
        assert len({job.created_at for job in pool.map(send, range(50))}) == 1
    assert queue.depth(MODEL).queued == 1
