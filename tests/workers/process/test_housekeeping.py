"""What a worker does beside its jobs, on a real Redis and real files."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import MODEL, TENANT, a_request, submit
from workers.jobs import keys
from workers.jobs.append_only import AppendOnlyFile
from workers.jobs.artifact import Artifact
from workers.jobs.artifacts import MARKER, ArtifactStore
from workers.jobs.job import AttemptKey, Job, JobState, new_job_id
from workers.jobs.store_binding import StoreBinding
from workers.process.housekeeping import Housekeeping
from workers.process.metrics import Metrics


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    queue = Queue.open(redis_url, lease_seconds=0.2, retention_seconds=0)
    yield queue
    queue.close()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def housekeeping(
    queue: Queue, store: ArtifactStore, metrics: Metrics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Housekeeping:
    """Not started: the test first makes something to tidy up."""
    monkeypatch.setattr("workers.process.housekeeping.ORPHAN_SECONDS", 0.0)
    binding = StoreBinding(ArtifactStore(tmp_path), queue.connection)
    append_only = AppendOnlyFile(queue.connection)
    return Housekeeping(
        queue.leases, queue.presence, append_only, store, binding, metrics, [MODEL], unserved_seconds=3600
    )


@pytest.fixture
def running(housekeeping: Housekeeping) -> Iterator[Callable[[], None]]:
    """Starts it."""
    yield housekeeping.start
    housekeeping.stop()


def a_file(store: ArtifactStore, job_id: str, token: str = "a" * 32) -> Artifact:
    return store.publish(AttemptKey(TENANT, job_id, token), "video.mp4", lambda path: path.touch(), "video/mp4")


def test_the_job_of_a_silent_worker_is_given_to_others(
    queue: Queue, metrics: Metrics, running: Callable[[], None]
) -> None:
    job = submit(queue)
    queue.leases.claim([MODEL], "silent")
    running()
    wait_until(lambda: queue.jobs.get(job.key).state is JobState.QUEUED)
    labels = {"model": MODEL, "outcome": "retried", "reason": "worker_crashed"}
    wait_until(lambda: metrics.registry.get_sample_value("scalingcache_jobs_total", labels) == 1)
    assert metrics.registry.get_sample_value("scalingcache_jobs_reclaimed_total", {"model": MODEL}) == 1


def test_files_go_before_the_record_of_an_expired_job(
    queue: Queue, store: ArtifactStore, running: Callable[[], None], redis_url: str
) -> None:
    jobs: list[Job] = [queue.jobs.cancel(submit(queue).key) for _ in range(150)]
    paths = [store.path(a_file(store, job.id)) for job in jobs]
    running()
    with redis.Redis.from_url(redis_url) as raw:
        wait_until(lambda: not any(raw.exists(keys.job(job.id)) for job in jobs))
    assert not any(path.exists() for path in paths)


def test_files_that_belong_to_no_job_are_swept(
    store: ArtifactStore, housekeeping: Housekeeping, running: Callable[[], None]
) -> None:
    old, young = (store.path(a_file(store, new_job_id(MODEL))) for _ in range(2))
    os.utime(old.parent, (0, 0))
    os.utime(young.parent, (2**32, 2**32))
    housekeeping.sweep()
    running()
    wait_until(lambda: not old.exists())
    assert young.exists()


def test_nothing_is_swept_in_the_first_round(
    queue: Queue, store: ArtifactStore, housekeeping: Housekeeping, running: Callable[[], None], redis_url: str
) -> None:
    orphan = store.path(a_file(store, new_job_id(MODEL)))
    os.utime(orphan.parent, (0, 0))
    expired = queue.jobs.cancel(submit(queue).key)
    running()
    with redis.Redis.from_url(redis_url) as raw:
        wait_until(lambda: not raw.exists(keys.job(expired.id)))
    assert orphan.exists()


def test_nothing_is_deleted_from_a_store_of_another_installation(
    queue: Queue,
    store: ArtifactStore,
    housekeeping: Housekeeping,
    running: Callable[[], None],
    tmp_path: Path,
    redis_url: str,
) -> None:
    orphan = store.path(a_file(store, new_job_id(MODEL)))
    os.utime(orphan.parent, (0, 0))
    (tmp_path / MARKER).write_text("f" * 32)
    deleted, silent = submit(queue), submit(queue)
    kept = store.path(a_file(store, deleted.id))
    queue.jobs.delete(deleted.key)
    queue.leases.claim([MODEL], "silent")
    housekeeping.sweep()
    running()
    wait_until(lambda: queue.jobs.get(silent.key).state is JobState.QUEUED, awaited="reaping goes on")
    assert orphan.exists() and kept.exists()
    with redis.Redis.from_url(redis_url) as raw:
        assert raw.zcard(keys.expiries(MODEL)) == 1, "its files are still to go, from the right store"


def test_a_step_that_fails_does_not_keep_the_others_from_their_turn(
    queue: Queue, housekeeping: Housekeeping, running: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(queue)
    queue.leases.claim([MODEL], "silent")
    monkeypatch.setattr(housekeeping, "delete_expired", lambda model: 1 / 0)
    monkeypatch.setattr(housekeeping, "sweep", lambda: 1 / 0)
    running()
    wait_until(lambda: queue.jobs.get(job.key).state is JobState.QUEUED)


def test_a_backlog_is_worked_off_in_rounds_of_bounded_length(
    queue: Queue, housekeeping: Housekeeping, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    for _ in range(250):
        queue.jobs.cancel(submit(queue).key)
    monkeypatch.setattr("workers.process.housekeeping.STEP_SECONDS", 0.0)
    left = []
    with redis.Redis.from_url(redis_url) as raw:
        for _ in range(3):
            housekeeping.delete_expired(MODEL)
            left.append(raw.zcard(keys.expiries(MODEL)))
    assert left == [150, 50, 0]


def test_jobs_of_a_model_that_nobody_serves_end_after_an_hour_and_are_tidied_up(
    queue: Queue, metrics: Metrics, housekeeping: Housekeeping, redis_url: str
) -> None:
    gone = [submit(queue, a_request(model="gone")) for _ in range(3)]
    queue.leases.claim(["gone"], "silent")
    kept = submit(queue, a_request(model="kept"))
    queue.presence.serve(["gone", "kept"])
    with redis.Redis.from_url(redis_url, decode_responses=True) as raw:
        now = raw.time()[0]
        raw.zadd(keys.MODELS, {"gone": now - 3590, "kept": now - 3590})
        housekeeping.abandon_unserved()
        assert {queue.jobs.get(job.key).state for job in gone} == {JobState.QUEUED, JobState.RUNNING}

        raw.zadd(keys.MODELS, {"gone": now - 3610})
        raw.zadd(keys.leases("gone"), {job.id: 1 for job in gone}, xx=True)
        housekeeping.abandon_unserved()
        assert not any(raw.exists(keys.job(job.id)) for job in gone), "with a retention of 0 they are deleted at once"
        labels = {"model": "gone", "outcome": "failed", "reason": "model_not_served"}
        assert metrics.registry.get_sample_value("scalingcache_jobs_total", labels) == 3
        assert raw.zrange(keys.MODELS, 0, -1) == ["kept"]
    assert queue.jobs.get(kept.key).state is JobState.QUEUED
