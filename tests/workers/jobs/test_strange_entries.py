"""What is in the queue's keys and is no job of ours costs itself alone, once, and is seen."""

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, a_request, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import JobKey, JobState, Priority, new_job_id

pytestmark = every_redis


@pytest.mark.parametrize(
    "member",
    [
        "",
        "garbage",
        "garbage:acme",
        f"{new_job_id('flux')}:acme",
        new_job_id(MODEL),
        f"{new_job_id(MODEL)}:a@b",
        "\udcff:x",
    ],
    ids=["nothing", "a word", "a word of a tenant", "another model's", "no tenant", "no tenant's name", "no text"],
)
def test_an_expiry_of_no_job_is_set_aside_and_the_others_go_on(queue: Queue, raw: "redis.Redis", member: str) -> None:
    raw.zadd(keys.expiries(MODEL), {member.encode("utf-8", "surrogateescape"): 1})
    job = submit(queue)
    queue.jobs.delete(job.key)
    assert queue.leases.expired(MODEL) == [job.key]
    queue.leases.forget(job.key)
    assert queue.leases.expired(MODEL) == []
    assert queue.inspection.set_aside(MODEL) == 1


@pytest.mark.parametrize("lost", ["id", "tenant"])
def test_a_queued_record_that_is_no_whole_job_is_set_aside_and_the_next_is_claimed(
    queue: Queue, raw: "redis.Redis", lost: str
) -> None:
    bad, good = submit(queue), submit(queue)
    raw.hdel(keys.job(bad.id), lost)
    assert claim(queue).job.id == good.id
    assert queue.inspection.depth(MODEL).queued == 0
    assert queue.inspection.set_aside(MODEL) == 1


@pytest.mark.parametrize("entry", [{"job": "garbage"}, {"surprise": "1"}, {"job": ""}])
def test_an_entry_of_a_stream_that_leads_to_no_job_is_passed_over(
    queue: Queue, raw: "redis.Redis", entry: dict[str, str]
) -> None:
    raw.xadd(keys.stream(MODEL, "normal"), entry)  # type: ignore[arg-type]
    job = submit(queue)
    assert claim(queue).job.id == job.id


@pytest.mark.parametrize(
    ("field", "text"),
    [("request", "{"), ("request", "[]"), ("metadata", "no"), ("step", "x"), ("created_at", "?")],
)
def test_a_record_with_a_broken_value_fails_and_the_next_is_claimed(
    queue: Queue, raw: "redis.Redis", field: str, text: str
) -> None:
    bad, good = submit(queue), submit(queue)
    raw.hset(keys.job(bad.id), field, text)
    claimed = [attempt.job.id for attempt in (queue.leases.claim([MODEL], "w") for _ in range(3)) if attempt]
    assert claimed == [good.id]
    assert queue.jobs.get(bad.key).state is JobState.FAILED


def test_an_unreadable_count_of_attempts_counts_from_the_start(queue: Queue, raw: "redis.Redis") -> None:
    job = submit(queue)
    raw.hset(keys.job(job.id), "attempts", "many")
    assert claim(queue).job.attempts == 1


def test_a_tenant_under_whose_name_no_file_could_be_kept_is_refused_at_the_door(queue: Queue) -> None:
    for tenant in ("alice@acme.example", "", "..", ".hidden", "a/b", "a:b"):
        job = JobKey(tenant, new_job_id(MODEL))
        with pytest.raises(InvalidRequest, match="tenant"):
            queue.jobs.submit(job, priority=Priority.NORMAL, request=a_request(), metadata={})


def test_a_job_takes_no_more_of_redis_than_its_record_and_index(queue: Queue, raw: "redis.Redis") -> None:
    """Bytes with a short prompt; docs/operations.md says them."""

    def bytes_a_job() -> float:
        return sum(raw.memory_usage(key, samples=0) or 0 for key in raw.scan_iter()) / len(jobs)

    jobs = [submit(queue) for _ in range(100)]
    assert bytes_a_job() < 2500
    for job in jobs:
        queue.jobs.cancel(job.key)
    raw.delete(*raw.keys("*:events:*"))  # as some seconds after each job's end
    assert bytes_a_job() < 2500
