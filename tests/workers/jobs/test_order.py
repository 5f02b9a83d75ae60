"""The order that is computed ahead is the order in which jobs are claimed."""

import random
from collections import Counter

import pytest
import redis

from tests.queues import Queue
from tests.redis_servers import every_redis
from tests.workers.factories import MODEL, a_report, a_request, an_artifact, submit
from workers.jobs import keys
from workers.jobs.job import Priority, RunReport
from workers.jobs.leases import Attempt, Leases
from workers.jobs.lines import LOOKED_AT, Lines, Standing
from workers.jobs.order import Line, Waiting
from workers.jobs.pace import MeasuredRun, MeasuredRuns

pytestmark = every_redis


def anyone(_: Waiting) -> bool:
    return True


def foretold(standing: Standing, cap: int = 0) -> list[str]:
    """All ids in order, where nothing that was started ends."""
    running: Counter[str] = Counter(job.tenant for job in standing.running)
    order = []
    while job := standing.line.take(standing.now, lambda job: not cap or running[job.tenant] < cap):
        running[job.tenant] += 1
        order.append(job.job_id)
    return order


def claimed(queue: Queue, cap: int = 0) -> list[Attempt]:
    leases = Leases(queue.connection, most_running_of_tenant=cap)
    attempts = []
    while attempt := leases.claim([MODEL], "w"):
        attempts.append(attempt)
    return attempts


def fill(queue: Queue, raw: "redis.Redis", luck: random.Random, count: int) -> None:
    """Tenants, costs and priorities of all kinds; some jobs have waited for long, some came back, some ran."""
    for number in range(count):
        priority = luck.choice(list(Priority))
        request = a_request(steps=luck.choice([5, 10, 40]))
        job = submit(queue, request, tenant=luck.choice(["a", "b", "c"]), priority=priority)
        if luck.random() < 0.3:
            raw.zadd(keys.since(MODEL, priority), {job.id: raw.time()[0] - 601 - number % 3}, xx=True)
        if luck.random() < 0.2 and (attempt := queue.leases.claim([MODEL], "w")):
            if luck.random() < 0.5:
                queue.leases.release(attempt)
            else:
                queue.leases.complete(attempt, an_artifact(), a_report())


@pytest.mark.parametrize("seed", range(6))
def test_jobs_are_foretold_in_the_order_in_which_they_are_claimed(queue: Queue, raw: "redis.Redis", seed: int) -> None:
    luck = random.Random(seed)
    fill(queue, raw, luck, 40)
    cap = luck.choice([0, 4])
    order = foretold(Lines(queue.connection).of(MODEL), cap)
    assert order == [attempt.job.id for attempt in claimed(queue, cap)] and order


@pytest.mark.parametrize("seed", range(6))
def test_a_job_that_would_come_now_is_foretold_where_it_then_stands(
    queue: Queue, raw: "redis.Redis", seed: int
) -> None:
    luck = random.Random(seed)
    fill(queue, raw, luck, 20)
    tenant, priority, request = luck.choice(["a", "b", "new"]), luck.choice(list(Priority)), a_request(steps=20)
    standing = Lines(queue.connection).of(MODEL, tenant)
    standing.line.add("it", tenant, 20 * 96 * 96 * 33, priority, standing.now)
    place = foretold(standing).index("it")
    job = submit(queue, request, tenant=tenant, priority=priority)
    assert [attempt.job.id for attempt in claimed(queue)].index(job.id) == place


def test_only_the_first_jobs_are_looked_at(queue: Queue) -> None:
    for _ in range(LOOKED_AT + 1):
        submit(queue)
    lines = Lines(queue.connection)
    standing = lines.of(MODEL)
    assert len(standing.line) == len(standing.requests) == LOOKED_AT
    assert lines.of(MODEL).requests == standing.requests


def test_an_empty_queue_has_nobody_in_it(queue: Queue) -> None:
    standing = Lines(queue.connection).of(MODEL)
    assert (len(standing.line), standing.requests, standing.running) == (0, {}, [])
    assert Line().take(0.0, anyone) is None


def test_what_cannot_be_read_stands_in_the_line_all_the_same(queue: Queue, raw: "redis.Redis") -> None:
    bad, good = submit(queue), submit(queue)
    raw.hset(keys.job(bad.id), "request", "{")
    standing = Lines(queue.connection).of(MODEL)
    assert list(standing.requests) == [good.id] and len(standing.line) == 2


def run_one(queue: Queue, report: RunReport, **changes: int) -> None:
    submit(queue, a_request().model_copy(update=changes))
    attempt = queue.leases.claim([MODEL], "w")
    assert attempt is not None
    queue.leases.complete(attempt, an_artifact(), report)


def test_how_long_runs_took_is_kept_by_their_kind(queue: Queue, raw: "redis.Redis") -> None:
    runs = MeasuredRuns(queue.connection)
    for number in range(25):
        run_one(queue, a_report().model_copy(update={"full_step_seconds": 1.0 + number}))
    run_one(queue, a_report(), width=192)
    run_one(queue, a_report().model_copy(update={"full_step_seconds": 0.0}))
    raw.zadd(keys.pace_of(MODEL, "96x96x33:10"), {"of another version": raw.time()[0]})
    measured = runs.of(MODEL)
    assert [run.full_step_seconds for run in measured if run.width == 96] == [25.0 - number for number in range(20)]
    assert [run.seconds for run in measured if run.width == 192] == [pytest.approx(4.3)]
    assert {run.kind for run in measured} == {"96x96x33:10", "192x96x33:10"}


def test_a_run_takes_as_long_as_its_worker_had_it(queue: Queue, raw: "redis.Redis") -> None:
    job = submit(queue)
    attempt = queue.leases.claim([MODEL], "w")
    assert attempt is not None
    raw.hset(keys.job(job.id), "started_at", str(raw.time()[0] - 100))
    queue.leases.complete(attempt, an_artifact(), a_report())
    (run,) = MeasuredRuns(queue.connection).of(MODEL)
    assert isinstance(run, MeasuredRun) and run.seconds == pytest.approx(100, abs=5)


def test_runs_that_were_alike_are_all_kept(queue: Queue, raw: "redis.Redis") -> None:
    for _ in range(3):
        job = submit(queue)
        attempt = queue.leases.claim([MODEL], "w")
        assert attempt is not None
        raw.hset(keys.job(job.id), "started_at", "-1e15")  # So long ago that a moment makes no difference.
        queue.leases.complete(attempt, an_artifact(), a_report())
    assert len(MeasuredRuns(queue.connection).of(MODEL)) == 3


def test_kinds_that_were_not_run_for_long_make_room(queue: Queue, raw: "redis.Redis") -> None:
    raw.zadd(keys.pace(MODEL), {f"kind{number}": number for number in range(100)})
    raw.zadd(keys.pace_of(MODEL, "kind0"), {"x": 1})
    run_one(queue, a_report())
    assert raw.zcard(keys.pace(MODEL)) == 100 and not raw.exists(keys.pace_of(MODEL, "kind0"))
