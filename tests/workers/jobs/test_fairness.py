"""Tenants take turns, nothing waits for ever, and nobody has more running than they may."""

from collections import Counter

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, a_report, a_request, an_artifact, submit
from tests.workers.jobs.leases import claim
from workers.jobs import keys
from workers.jobs.cost import cost_of
from workers.jobs.errors import QueueFull
from workers.jobs.job import Job, JobKey, Priority, new_job_id
from workers.jobs.leases import Leases
from workers.jobs.queue import Jobs, QueueLimits

pytestmark = every_redis
LANES = ("high", "normal", "low")


def next_tenant(queue: Queue) -> str:
    attempt = claim(queue)
    queue.leases.complete(attempt, an_artifact(), a_report())
    return attempt.job.tenant


def long_ago(raw: "redis.Redis", job: Job, lane: str, seconds: float = 601) -> None:
    """As if the job had waited in its lane for so long."""
    raw.zadd(keys.since(MODEL, lane), {job.id: raw.time()[0] - seconds}, xx=True)


def test_one_tenants_flood_does_not_keep_anothers_first_job_waiting(queue: Queue) -> None:
    jobs = Jobs(queue.connection, limits=QueueLimits(queued_of_tenant=2000))
    for _ in range(2000):
        key = JobKey("flood", new_job_id(MODEL))
        jobs.submit(key, priority=Priority.NORMAL, request=a_request(), metadata={})
    assert [next_tenant(queue) for _ in range(3)] == ["flood"] * 3
    late = submit(queue, tenant="late")
    assert queue.jobs.position(late) == 0
    assert [next_tenant(queue) for _ in range(3)] == ["late", "flood", "flood"]


def test_tenants_that_all_have_jobs_get_the_same_work_done_whatever_a_job_costs(queue: Queue) -> None:
    for _ in range(40):
        submit(queue, a_request(steps=100), tenant="large")
    for _ in range(160):
        submit(queue, a_request(steps=25), tenant="small")
    served = Counter(next_tenant(queue) for _ in range(100))
    assert served["small"] == pytest.approx(80, abs=2) and served["large"] == pytest.approx(20, abs=2)


def test_nobody_saves_up_turns_while_they_have_no_jobs(queue: Queue) -> None:
    for _ in range(30):
        submit(queue, tenant="a")
    for _ in range(20):
        next_tenant(queue)
    for _ in range(10):
        submit(queue, tenant="b")
    assert Counter(next_tenant(queue) for _ in range(10)) == {"a": 5, "b": 5}


def test_the_jobs_of_one_tenant_start_as_they_came_and_positions_say_so(queue: Queue) -> None:
    jobs = [submit(queue, a_request(steps=steps), tenant="a") for steps in (90, 2, 50, 7)]
    others = [submit(queue, tenant="b") for _ in range(2)]
    order = sorted([*jobs, *others], key=lambda job: queue.jobs.position(job) or 0)
    assert sorted(queue.jobs.position(job) or 0 for job in order) == list(range(6))
    assert [claim(queue).job.id for _ in order] == [job.id for job in order]
    assert [job.id for job in order if job.tenant == "a"] == [job.id for job in jobs]


def test_what_an_estimate_says_of_the_place_is_where_a_new_job_stands(queue: Queue) -> None:
    for tenant in ("flood",) * 6 + ("other",) * 2:
        submit(queue, tenant=tenant)
    submit(queue, tenant="flood", priority=Priority.HIGH)
    claim(queue), claim(queue)
    for tenant in ("flood", "new", "other", "new"):
        for priority in Priority:
            expected = queue.inspection.waiting(MODEL, priority, tenant)
            assert queue.jobs.position(submit(queue, tenant=tenant, priority=priority)) == expected
    assert queue.inspection.waiting(MODEL, Priority.NORMAL, "newest") < queue.inspection.depth(MODEL).queued - 5


def test_a_higher_priority_comes_first_whoever_is_owed_a_turn(queue: Queue) -> None:
    for _ in range(3):
        submit(queue, tenant="a")
    high = submit(queue, tenant="a", priority=Priority.HIGH)
    submit(queue, tenant="b")
    assert claim(queue).job.id == high.id


@pytest.mark.parametrize(("lane", "above"), [("low", "normal"), ("normal", "high")])
def test_what_has_waited_for_long_moves_up_and_is_then_served_in_its_turn(
    queue: Queue, raw: "redis.Redis", lane: str, above: str
) -> None:
    waits = submit(queue, tenant="patient", priority=Priority(lane))
    for _ in range(5):
        submit(queue, tenant="flood", priority=Priority(above))
    assert claim(queue).job.tenant == "flood"
    long_ago(raw, waits, lane)
    assert claim(queue).job.id == waits.id
    assert waits.priority == lane and queue.inspection.depth(MODEL).queued == 4


def test_low_is_served_while_high_never_runs_dry(queue: Queue, raw: "redis.Redis") -> None:
    waits = submit(queue, tenant="a", priority=Priority.LOW)
    for _ in range(5):
        submit(queue, tenant="a", priority=Priority.HIGH)
    started: list[str] = []
    for _ in range(20):
        for lane in LANES[1:]:
            long_ago(raw, waits, lane)
        started.append(claim(queue).job.id)
        submit(queue, tenant="a", priority=Priority.HIGH)
    assert started.index(waits.id) <= 7, (
        "behind the five that were before it there, and not behind those that came later"
    )


def test_a_tenant_has_no_more_running_than_it_may_and_others_start_in_its_place(queue: Queue) -> None:
    leases = Leases(queue.connection, most_running_of_tenant=2)
    for _ in range(250):
        submit(queue, tenant="a")
    for _ in range(3):
        submit(queue, tenant="b")
    attempts = [leases.claim([MODEL], "w") for _ in range(5)]
    assert Counter(attempt.job.tenant for attempt in attempts if attempt) == {"a": 2, "b": 2}
    assert attempts[4] is None
    ended = next(attempt for attempt in attempts if attempt and attempt.job.tenant == "a")
    leases.complete(ended, an_artifact(), a_report())
    again = leases.claim([MODEL], "w")
    assert again is not None and again.job.tenant == "a"


@pytest.mark.parametrize("ending", ["complete", "fail", "cancel", "release", "reap", "delete"])
def test_every_end_of_an_attempt_makes_room_for_the_next(queue: Queue, raw: "redis.Redis", ending: str) -> None:
    leases = Leases(queue.connection, most_running_of_tenant=1)
    submit(queue)
    submit(queue)
    attempt = leases.claim([MODEL], "w")
    assert attempt is not None and leases.claim([MODEL], "w") is None
    if ending == "complete":
        leases.complete(attempt, an_artifact(), a_report())
    elif ending == "reap":
        raw.zadd(keys.leases(MODEL), {attempt.job.id: 1})
        leases.reap(MODEL)
    elif ending == "release":
        leases.release(attempt)
    else:
        (queue.jobs.delete if ending == "delete" else queue.jobs.cancel)(attempt.job.key)
        leases.cancel(attempt)
    assert leases.claim([MODEL], "w") is not None


def test_what_waits_may_cost_only_so_much_together_and_room_comes_back(queue: Queue, raw: "redis.Redis") -> None:
    one = cost_of(a_request())
    jobs = Jobs(queue.connection, limits=QueueLimits(cost_of_tenant=2 * one))

    def submit_for(tenant: str, steps: int = 50) -> Job:
        key = JobKey(tenant, new_job_id(MODEL))
        return jobs.submit(key, priority=Priority.NORMAL, request=a_request(steps=steps), metadata={})

    first, second = submit_for("a"), submit_for("a")
    with pytest.raises(QueueFull, match=f"costs {one}, your jobs .* would cost more than {2 * one} together"):
        submit_for("a")
    submit_for("b", steps=100)
    jobs.cancel(first.key)
    submit_for("a")
    attempt = queue.leases.claim([MODEL], "w")
    while attempt and attempt.job.id != second.id:
        queue.leases.cancel(attempt)
        attempt = queue.leases.claim([MODEL], "w")
    assert not raw.exists(f"{keys.root(MODEL)}:costs") or all(
        float(cost) >= 0 for cost in raw.hvals(f"{keys.root(MODEL)}:costs")
    )


def test_nothing_is_left_of_tenants_that_have_no_jobs(queue: Queue, raw: "redis.Redis") -> None:
    for tenant in ("a", "b"):
        for _ in range(3):
            submit(queue, tenant=tenant)
    for _ in range(6):
        next_tenant(queue)
    root = keys.root(MODEL)
    assert not raw.exists(f"{root}:costs", f"{root}:running:a", f"{root}:waiting:a", f"{root}:turns:normal")


def test_what_an_older_version_has_queued_comes_before_what_is_new(queue: Queue, raw: "redis.Redis") -> None:
    old = submit(queue, tenant="old")
    raw.delete(f"{keys.root(MODEL)}:turns:normal", keys.since(MODEL, "normal"))
    raw.zadd(keys.queued(MODEL, "normal"), {old.id: raw.time()[0]})
    new = [submit(queue, tenant="new") for _ in range(2)]
    assert [claim(queue).job.id for _ in range(3)] == [old.id, *(job.id for job in new)]


def test_workers_of_before_may_go_on_beside_new_ones(queue: Queue, raw: "redis.Redis") -> None:
    """They take a job out of `queued` and `waiting` alone, and out of no set of running ones."""
    root, leases = keys.root(MODEL), Leases(queue.connection, most_running_of_tenant=1)
    taken, reaped = submit(queue), submit(queue)
    raw.zrem(keys.queued(MODEL, "normal"), taken.id, reaped.id)
    raw.hset(keys.job(taken.id), mapping={"state": "running", "token": "t"})
    raw.hset(keys.job(reaped.id), "state", "failed")
    raw.sadd(f"{root}:running:{reaped.tenant}", reaped.id)
    long_ago(raw, taken, "normal")
    job = submit(queue)
    attempt = leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == job.id
    assert queue.jobs.get(taken.key).state == "running" and raw.hget(keys.job(taken.id), "token") == "t"
    assert raw.zcard(keys.since(MODEL, "normal")) == 1
    unknown = {"token", "lane", "entry", "deleted"} | set(Job.model_fields)
    assert set(raw.hkeys(keys.job(job.id))) <= unknown - {"deadline_at"}, "they refuse records with other fields"
