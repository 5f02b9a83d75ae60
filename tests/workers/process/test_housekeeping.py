"""What a worker does beside its jobs, on a real Redis and real files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import MODEL, TENANT, submit
from workers.jobs import keys
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import Artifact, AttemptKey, Job, JobState, new_job_id
from workers.process.housekeeping import Housekeeping
from workers.process.metrics import Metrics
from workers.process.shutdown import Shutdown


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
def housekeeping(queue: Queue, store: ArtifactStore, metrics: Metrics) -> Iterator[Housekeeping]:
    """Not started: the test first makes something to tidy up."""
    housekeeping = Housekeeping(
        queue.leases, queue.presence, store, metrics, Shutdown(), "tidy", {MODEL: "float32 on cpu"}
    )
    yield housekeeping
    housekeeping.stop()


def a_file(store: ArtifactStore, job_id: str, token: str = "a" * 32) -> Artifact:
    return store.publish(AttemptKey(TENANT, job_id, token), "video.mp4", lambda path: path.touch(), "video/mp4")


def test_the_job_of_a_silent_worker_is_given_to_others(
    queue: Queue, metrics: Metrics, housekeeping: Housekeeping
) -> None:
    job = submit(queue)
    queue.leases.claim([MODEL], "silent")
    housekeeping.start()
    wait_until(lambda: queue.jobs.get(job.key).state is JobState.QUEUED)
    labels = {"model": MODEL, "outcome": "retried", "reason": "worker_crashed"}
    wait_until(lambda: metrics.registry.get_sample_value("scalingcache_jobs_total", labels) == 1)
    assert metrics.registry.get_sample_value("scalingcache_jobs_reclaimed_total", {"model": MODEL}) == 1


def test_files_go_before_the_record_of_an_expired_job(
    queue: Queue, store: ArtifactStore, housekeeping: Housekeeping, redis_url: str
) -> None:
    jobs: list[Job] = [queue.jobs.cancel(submit(queue).key) for _ in range(150)]
    paths = [store.path(a_file(store, job.id)) for job in jobs]
    housekeeping.start()
    with redis.Redis.from_url(redis_url) as raw:
        wait_until(lambda: not any(raw.exists(keys.job(job.id)) for job in jobs))
    assert not any(path.exists() for path in paths)


def test_files_that_belong_to_no_job_are_swept(store: ArtifactStore, housekeeping: Housekeeping) -> None:
    old, young = (store.path(a_file(store, new_job_id(MODEL))) for _ in range(2))
    os.utime(old.parent, (0, 0))
    os.utime(young.parent, (2**32, 2**32))
    housekeeping.start()
    wait_until(lambda: not old.exists())
    assert young.exists()


def test_it_announces_what_the_worker_does_and_says_goodbye(
    queue: Queue, store: ArtifactStore, metrics: Metrics
) -> None:
    housekeeping = Housekeeping(
        queue.leases, queue.presence, store, metrics, Shutdown(), "tidy", {MODEL: "float32 on cpu"}
    )

    def announced() -> list[tuple[str, tuple[str, ...]]]:
        return [(worker.state, worker.models) for worker in queue.presence.workers()]

    housekeeping.start()
    wait_until(lambda: announced() == [("loading", ())])
    housekeeping.set_state("idle")
    wait_until(lambda: announced() == [("idle", (MODEL,))])
    assert metrics.registry.get_sample_value("scalingcache_worker_state", {"state": "idle"}) == 1
    housekeeping.stop()
    assert queue.presence.workers() == []
