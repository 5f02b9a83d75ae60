"""Completed jobs that are to run again: each on one idle worker, as long as the job is there."""

import pytest
import redis

from tests.queues import Queue
from tests.workers.factories import MODEL, a_report, a_request, an_artifact, submit
from workers.jobs import keys, reruns
from workers.jobs.job import Job, JobState
from workers.jobs.reruns import Rerun, Reruns

LIST = f"{keys.root(MODEL)}:reruns:shadow:weights"


@pytest.fixture
def noted(queue: Queue) -> Reruns:
    return Reruns(queue.connection, lease_seconds=60, kept_seconds=3600)


def completed(queue: Queue, prompt: str = "a red ball") -> Job:
    submit(queue, a_request(prompt))
    attempt = queue.leases.claim([MODEL], "w")
    assert attempt is not None
    queue.leases.complete(attempt, an_artifact(), a_report())
    return queue.jobs.get(attempt.job.key)


def taken(noted: Reruns) -> Rerun | None:
    return noted.take("shadow", MODEL, "weights").rerun


def test_two_idle_workers_do_not_get_the_same_one_and_the_newest_comes_first(queue: Queue, noted: Reruns) -> None:
    first, second = completed(queue), completed(queue)
    assert all(noted.offer("shadow", "weights", job) for job in (first, second))
    other = Reruns(queue.connection, lease_seconds=60, kept_seconds=3600)
    got = [taken(noted), taken(other), taken(noted)]
    assert [rerun and rerun.job for rerun in got] == [second, first, None]


def test_what_is_kept_of_it_is_the_jobs_id_and_expires(queue: Queue, noted: Reruns, raw: redis.Redis) -> None:
    job = completed(queue, "a secret")
    noted.offer("shadow", "weights", job)
    rerun = taken(noted)
    assert rerun is not None
    claims = f"{keys.root(MODEL)}:rerun:shadow:weights"
    assert raw.zrange(LIST, 0, -1) == raw.hkeys(claims) == [job.id]
    assert 0 < raw.ttl(LIST) <= 3600 and 0 < raw.ttl(claims) <= 3600
    for held in (noted.go_on, noted.give_back):
        assert held(rerun)
        assert 0 < raw.ttl(LIST) <= 3600 and 0 < raw.ttl(claims) <= 3600


@pytest.mark.parametrize("ended", ["queued", "running", "cancelled", "deleted"])
def test_only_a_completed_job_is_noted(queue: Queue, noted: Reruns, ended: str) -> None:
    job = completed(queue) if ended == "deleted" else submit(queue)
    if ended == "running":
        assert queue.leases.claim([MODEL], "w") is not None
    if ended == "cancelled":
        assert queue.jobs.cancel(job.key).state is JobState.CANCELLED
    if ended == "deleted":
        queue.jobs.delete(job.key)
    assert not noted.offer("shadow", "weights", job)
    assert taken(noted) is None


def test_other_weights_and_other_work_have_lists_of_their_own(queue: Queue, noted: Reruns) -> None:
    noted.offer("shadow", "weights", completed(queue))
    assert noted.take("shadow", MODEL, "others").rerun is None
    assert noted.take("calibration", MODEL, "weights").rerun is None
    assert taken(noted) is not None


def test_a_job_that_was_deleted_before_its_rerun_is_dropped_and_counted(queue: Queue, noted: Reruns) -> None:
    gone, there = completed(queue), completed(queue)
    for job in (there, gone):
        noted.offer("shadow", "weights", job)
    queue.jobs.delete(gone.key)
    rerun, dropped = noted.take("shadow", MODEL, "weights")
    assert rerun is not None and (rerun.job.id, dropped) == (there.id, 1)


def test_a_job_that_is_deleted_during_its_rerun_ends_it_and_drops_what_it_gave(queue: Queue, noted: Reruns) -> None:
    job = completed(queue)
    noted.offer("shadow", "weights", job)
    rerun = taken(noted)
    assert rerun is not None and noted.go_on(rerun)
    queue.jobs.delete(job.key)
    assert not noted.go_on(rerun)
    assert not noted.end(rerun)
    assert taken(noted) is None


def test_one_that_is_given_back_is_taken_again_but_not_forever(queue: Queue, noted: Reruns, raw: redis.Redis) -> None:
    noted.offer("shadow", "weights", completed(queue))
    for _ in range(reruns.TRIES):
        rerun = taken(noted)
        assert rerun is not None and noted.give_back(rerun)
    assert noted.take("shadow", MODEL, "weights") == (None, 1)
    assert not raw.exists(LIST)


def test_one_whose_worker_died_goes_to_another_and_the_first_may_not_end_it(
    queue: Queue, noted: Reruns, raw: redis.Redis
) -> None:
    job = completed(queue)
    noted.offer("shadow", "weights", job)
    silent = taken(noted)
    raw.zadd(LIST, {job.id: 1}, xx=True)  # Its time is over.
    other = taken(noted)
    assert silent is not None and other is not None
    assert not noted.go_on(silent) and not noted.give_back(silent) and not noted.end(silent)
    assert noted.end(other)
    assert taken(noted) is None and not raw.exists(LIST)


def test_of_many_the_oldest_give_way(
    queue: Queue, noted: Reruns, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reruns, "MOST", 2)
    jobs = [completed(queue) for _ in range(4)]
    for job in jobs:
        noted.offer("shadow", "weights", job)
    assert raw.zrange(LIST, 0, -1) == [job.id for job in jobs[2:]]


def test_a_record_that_this_version_cannot_read_is_passed_over(queue: Queue, noted: Reruns, raw: redis.Redis) -> None:
    job = completed(queue)
    noted.offer("shadow", "weights", job)
    raw.hset(keys.job(job.id), "request", "{}")
    assert noted.take("shadow", MODEL, "weights") == (None, 1)


def test_after_redis_came_back_empty_there_is_nothing_to_run(queue: Queue, noted: Reruns, raw: redis.Redis) -> None:
    noted.offer("shadow", "weights", completed(queue))
    rerun = taken(noted)
    raw.flushall()
    assert rerun is not None and not noted.go_on(rerun) and not noted.end(rerun)
    assert noted.take("shadow", MODEL, "weights") == (None, 0)
