"""What the service does with jobs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, TENANT, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim, stream_lengths
from workers.jobs import keys
from workers.jobs.errors import IdempotencyConflict, InvalidRequest, JobNotFound
from workers.jobs.job import Job, JobKey, JobState, Priority, new_job_id
from workers.jobs.leases import BeatReply
from workers.jobs.queue import PAGE_CHARACTERS

pytestmark = every_redis


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]


def test_a_submitted_job_is_queued_with_all_it_was_given(queue: Queue) -> None:
    request = a_request("ein roter Ball, 红球 🎈\nzweite Zeile")
    job_id = new_job_id(MODEL)
    job = queue.jobs.submit(
        JobKey(TENANT, job_id), priority=Priority.HIGH, request=request, metadata={"Ä": "ü", "": ""}
    )

    assert job == queue.jobs.get(JobKey(TENANT, job_id))
    assert (job.id, job.tenant, job.priority, job.request) == (job_id, TENANT, Priority.HIGH, request)
    assert job.metadata == {"Ä": "ü", "": ""}
    assert (job.state, job.attempts, job.step, job.started_at, job.expires_at) == (JobState.QUEUED, 0, 0, None, None)


def test_a_second_submission_of_an_id_changes_nothing(queue: Queue) -> None:
    job = submit(queue)
    again = queue.jobs.submit(job.key, priority=Priority.HIGH, request=a_request("another"), metadata={"a": "b"})
    assert again == job
    assert queue.inspection.depth(MODEL).queued == 1


@pytest.mark.parametrize(
    "job_id", [pytest.param(new_job_id(MODEL), id="new"), "video_wan-tiny_1", "", "{q:wan-tiny}:leases"]
)
def test_an_unknown_id_is_not_found(queue: Queue, job_id: str) -> None:
    for call in (queue.jobs.get, queue.jobs.cancel, queue.jobs.delete):
        with pytest.raises(JobNotFound):
            call(JobKey(TENANT, job_id))


def test_another_tenant_finds_nothing(queue: Queue) -> None:
    job = submit(queue)
    for call in (queue.jobs.get, queue.jobs.cancel, queue.jobs.delete):
        with pytest.raises(JobNotFound):
            call(JobKey("other", job.id))
    with pytest.raises(JobNotFound):
        queue.jobs.submit(JobKey("other", job.id), priority=Priority.LOW, request=a_request(), metadata={})
    assert queue.jobs.list("other", [MODEL], after=None, limit=10, ascending=True) == ([], False)
    assert queue.jobs.get(job.key) == job


def test_a_queued_job_is_cancelled_at_once(queue: Queue, raw: "redis.Redis") -> None:
    job = submit(queue)
    cancelled = queue.jobs.cancel(job.key)

    assert cancelled.state is JobState.CANCELLED
    assert cancelled.error is not None
    assert cancelled.error.code == "cancelled"
    assert cancelled.completed_at is not None
    assert cancelled.expires_at == pytest.approx(cancelled.completed_at + 600, abs=1e-3)
    assert queue.jobs.cancel(job.key) == cancelled
    assert queue.leases.claim([MODEL], "worker") is None
    assert stream_lengths(raw) == 0


def test_a_running_job_is_asked_to_stop(queue: Queue) -> None:
    submit(queue)
    attempt = claim(queue)
    asked = queue.jobs.cancel(attempt.job.key)
    assert (asked.state, asked.cancel_requested) == (JobState.RUNNING, True)
    assert queue.leases.beat(attempt) is BeatReply.STOP


def test_a_finished_job_stays_as_it_is(queue: Queue) -> None:
    submit(queue)
    attempt = claim(queue)
    queue.leases.complete(attempt, an_artifact(), a_report())
    finished = queue.jobs.get(attempt.job.key)
    assert queue.jobs.cancel(attempt.job.key) == finished


def test_deleting_leaves_what_the_sweep_needs_and_then_only_the_place(queue: Queue, raw: "redis.Redis") -> None:
    job = submit(queue)
    queue.jobs.delete(job.key)

    with pytest.raises(JobNotFound):
        queue.jobs.get(job.key)
    assert queue.jobs.list(TENANT, [MODEL], after=None, limit=10, ascending=True) == ([], False)
    [expired] = queue.leases.expired(MODEL)
    assert expired == job.key
    queue.leases.forget(expired)
    left = {key for key in raw.scan_iter() if ":stream:" not in key and ":used" not in key}
    assert left == {keys.places(MODEL, TENANT)}, "but for what was used"
    assert raw.zrange(keys.places(MODEL, TENANT), 0, -1, withscores=True) == [(job.id, pytest.approx(job.created_at))]
    assert stream_lengths(raw) == 0


def test_deleting_a_running_job_hides_it_and_takes_its_prompt(queue: Queue, raw: "redis.Redis") -> None:
    submit(queue, a_request("a secret"))
    attempt = claim(queue)
    queue.jobs.delete(attempt.job.key)

    with pytest.raises(JobNotFound):
        queue.jobs.get(attempt.job.key)
    assert "a secret" not in str(raw.hgetall(keys.job(attempt.job.id)))
    assert queue.leases.beat(attempt) is BeatReply.STOP
    assert queue.leases.complete(attempt, an_artifact(), a_report()).state is JobState.CANCELLED
    assert not raw.exists(keys.job(attempt.job.id))
    assert [expired.job_id for expired in queue.leases.expired(MODEL)] == [attempt.job.id]


def test_an_id_that_was_deleted_and_submitted_anew_outlives_the_sweep(queue: Queue) -> None:
    job = submit(queue)
    queue.jobs.delete(job.key)
    [expired] = queue.leases.expired(MODEL)
    again = queue.jobs.submit(job.key, priority=Priority.LOW, request=a_request(), metadata={})
    queue.leases.forget(expired)
    assert queue.jobs.get(job.key) == again


def test_records_are_kept_for_the_retention_and_forgotten_after(redis_url: str, raw: "redis.Redis") -> None:
    brief = Queue.open(redis_url, retention_seconds=0)
    job = submit(brief)
    assert raw.ttl(keys.job(job.id)) == -1, "a job that has not ended never expires"
    brief.jobs.cancel(job.key)
    assert raw.ttl(keys.job(job.id)) > 0
    [expired] = brief.leases.expired(MODEL)
    brief.leases.forget(expired)
    with pytest.raises(JobNotFound):
        brief.jobs.get(job.key)
    brief.close()


def test_lists_page_through_the_models_of_a_tenant_in_order(queue: Queue) -> None:
    models = (MODEL, "flux")
    jobs = [submit(queue, a_request(model=models[n % 2])) for n in range(7)]
    submit(queue, tenant="other")

    for ascending, expected in ((True, ids(jobs)), (False, ids(jobs)[::-1])):
        seen: list[str] = []
        more = True
        while more:
            after = seen[-1] if seen else None
            page, more = queue.jobs.list(TENANT, models, after=after, limit=3, ascending=ascending)
            seen += ids(page)
        assert seen == expected
    assert ids(queue.jobs.list(TENANT, ["flux"], after=None, limit=10, ascending=True)[0]) == ids(jobs)[1::2]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("state", ["queued", "running", "completed", "expired"])
def test_a_list_goes_on_behind_a_job_that_is_gone(queue: Queue, ascending: bool, state: str) -> None:
    jobs = [submit(queue) for _ in range(5)]
    if state != "queued":
        attempts = [claim(queue) for _ in jobs]
    if state in ("completed", "expired"):
        for attempt in attempts:
            queue.leases.complete(attempt, an_artifact(), a_report())
    rest = jobs if ascending else jobs[::-1]
    while rest:
        page, _ = queue.jobs.list(TENANT, [MODEL], after=None, limit=2, ascending=ascending)
        for job in page:
            (queue.leases.forget if state == "expired" else queue.jobs.delete)(job.key)
        rest = rest[len(page) :]
        after, _ = queue.jobs.list(TENANT, [MODEL], after=page[-1].id, limit=10, ascending=ascending)
        assert ids(after) == ids(rest)


def test_the_place_of_a_deleted_job_is_its_tenants_and_not_kept_for_long(queue: Queue, raw: "redis.Redis") -> None:
    job = submit(queue)
    queue.jobs.delete(job.key)
    with pytest.raises(InvalidRequest, match="within the hour"):
        queue.jobs.list("other", [MODEL], after=job.id, limit=3, ascending=True)
    assert 0 < raw.ttl(keys.places(MODEL, TENANT)) <= 3600


def test_a_page_of_large_jobs_is_shorter_and_leads_on_to_the_others(queue: Queue) -> None:
    jobs = [submit(queue, a_request("é" * 32_000)) for _ in range(80)]
    seen: list[str] = []
    more, pages = True, 0
    while more:
        page, more = queue.jobs.list(TENANT, [MODEL], after=seen[-1] if seen else None, limit=100, ascending=True)
        assert sum(len(job.request.prompt) for job in page) <= PAGE_CHARACTERS
        seen += ids(page)
        pages += 1
    assert seen == ids(jobs) and pages == 3


@pytest.mark.parametrize("ascending", [True, False])
def test_a_list_passes_over_jobs_that_expired_and_are_not_swept_yet(
    queue: Queue, raw: "redis.Redis", ascending: bool
) -> None:
    jobs = [submit(queue) for _ in range(30)]
    raw.delete(*(keys.job(job.id) for job in jobs[2:-2]))
    left = [*jobs[:2], *jobs[-2:]] if ascending else [*jobs[:-3:-1], *jobs[1::-1]]

    def listed(after: str | None, limit: int) -> tuple[list[str], bool]:
        page, more = queue.jobs.list(TENANT, [MODEL], after=after, limit=limit, ascending=ascending)
        return ids(page), more

    assert listed(None, 2) == (ids(left[:2]), True)
    assert listed(left[1].id, 1) == ([left[2].id], True)
    assert listed(left[1].id, 2) == listed(left[1].id, 3) == (ids(left[2:]), False)
    raw.delete(*(keys.job(job.id) for job in left[2:]))
    assert listed(None, 2) == (ids(left[:2]), False)


def test_a_list_after_an_unknown_job_is_refused(queue: Queue) -> None:
    for after in (new_job_id(MODEL), "nonsense"):
        with pytest.raises(InvalidRequest, match="after"):
            queue.jobs.list(TENANT, [MODEL], after=after, limit=3, ascending=True)


def test_position_counts_what_will_start_first(queue: Queue) -> None:
    low, normal, high = (submit(queue, priority=priority) for priority in (Priority.LOW, "normal", Priority.HIGH))
    second = submit(queue)
    assert [queue.jobs.position(job) for job in (high, normal, second, low)] == [0, 1, 2, 3]

    attempt = claim(queue)
    assert attempt.job.id == high.id
    assert queue.jobs.position(attempt.job) is None
    assert queue.jobs.position(high) is None, "claimed since it was read"
    queue.leases.release(attempt)
    assert [queue.jobs.position(queue.jobs.get(job.key)) for job in (high, normal, low)] == [0, 1, 3]


def test_depth_counts_waiting_and_running_jobs(queue: Queue) -> None:
    empty = queue.inspection.depth(MODEL)
    assert (empty.queued, empty.running, empty.oldest_seconds) == (0, 0, 0)
    submit(queue)
    submit(queue, priority=Priority.LOW)
    claim(queue)
    depth = queue.inspection.depth(MODEL)
    assert (depth.queued, depth.running) == (1, 1)
    assert depth.oldest_seconds > 0
    assert queue.inspection.depth("flux").queued == 0


def test_the_first_caller_with_an_idempotency_key_decides_the_id(queue: Queue) -> None:
    wanted = [JobKey(TENANT, new_job_id(MODEL)) for _ in range(50)]
    with ThreadPoolExecutor(16) as pool:
        got = set(pool.map(lambda job: queue.jobs.reserve(job, "key", "body", 60), wanted))
    assert len(got) == 1
    assert got < set(wanted)
    others = JobKey("other", wanted[0].job_id)
    assert queue.jobs.reserve(others, "key", "body", 60) == others, "keys belong to their tenant"
    with pytest.raises(IdempotencyConflict) as conflict:
        queue.jobs.reserve(JobKey(TENANT, new_job_id(MODEL)), "key", "another body", 60)
    assert conflict.value.param == "Idempotency-Key"


def test_the_same_id_submitted_50_times_in_parallel_is_one_job(queue: Queue) -> None:
    job_id = new_job_id(MODEL)

    def send(_: int) -> Job:
        return queue.jobs.submit(JobKey(TENANT, job_id), priority=Priority.NORMAL, request=a_request(), metadata={})

    with ThreadPoolExecutor(16) as pool:
        assert len({job.created_at for job in pool.map(send, range(50))}) == 1
    assert queue.inspection.depth(MODEL).queued == 1
