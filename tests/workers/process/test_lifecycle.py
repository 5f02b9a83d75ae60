"""`python -m workers run` with a real pipeline: what a job goes through when things around it end."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from demo.embedded_redis import EmbeddedRedis, RedisBinary
from tests.queues import Queue
from tests.redis_servers import kill
from tests.waiting import wait_until
from tests.workers.factories import submit
from tests.workers.process.worker_process import ROOT, WorkerProcess
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import GenerationRequest, Job, JobState
from workers.models.catalogue import Catalogue

pytestmark = pytest.mark.slow
#: Importing torch and diffusers takes long where cores are few.
SECONDS = 120.0
CATALOGUE = Catalogue.read(ROOT / "models.toml")
MODEL = "wan-tiny"


def request(steps: int, *, sf: int | None = None, frames: int | None = None) -> GenerationRequest:
    """Of the default size; without `sf` uncached."""
    return CATALOGUE.request(MODEL, "a red circle moves right", steps=steps, sf=sf or steps, frames=frames, seed=7)


LONG = request(steps=100)
#: Steps are told of as they come. A lease is long enough for what holds up a busy machine.
QUICK: dict[str, Any] = {"torch_threads": 1, "beat_seconds": 0.1, "lease_seconds": 20}


@pytest.fixture(scope="module")
def server(redis_binary: RedisBinary) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(binary=redis_binary.path) as server:
        yield server


@pytest.fixture(scope="module")
def queue(server: EmbeddedRedis) -> Iterator[Queue]:
    queue = Queue.open(server.url, lease_seconds=2)
    yield queue
    queue.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module", autouse=True)
def checkpoint() -> None:
    """The demo checkpoint. While it is being trained anew these tests skip, but never in CI."""
    folder = Path(CATALOGUE.entry(MODEL).source)
    if not (folder / "model_index.json").exists():
        missing = f"there is no checkpoint in {folder}; `make train-demo` makes one"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="module")
def start(server: EmbeddedRedis, folder: Path) -> Callable[..., WorkerProcess]:
    return lambda **settings: WorkerProcess("workers", server.url, folder, "run", **QUICK | settings)


@pytest.fixture(scope="module")
def worker(start: Callable[..., WorkerProcess]) -> Iterator[WorkerProcess]:
    """One that lives through the tests which do not end it."""
    with start(metrics_port=0, drain_seconds=0) as worker:
        yield worker


def ended(queue: Queue, job: Job) -> Job:
    def look() -> Job | None:
        now = queue.jobs.get(job.key)
        return now if now.state.terminal else None

    return wait_until(look, seconds=SECONDS, awaited=f"{job.id} ends")


def denoising(queue: Queue, job: Job) -> Job:
    def look() -> Job | None:
        now = queue.jobs.get(job.key)
        assert not now.state.terminal, "too fast for this test"
        return now if now.state is JobState.RUNNING and now.stage == "denoise" and now.step >= 1 else None

    return wait_until(look, seconds=SECONDS, awaited=f"{job.id} denoises")


def assert_a_video(job: Job, folder: Path) -> None:
    assert job.state is JobState.COMPLETED, job.error
    assert job.artifact is not None
    path = ArtifactStore(folder / "artifacts").path(job.artifact)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == job.artifact.sha256
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == job.request.frames


def test_jobs_become_videos_and_their_steps_are_counted(queue: Queue, worker: WorkerProcess, folder: Path) -> None:
    plain, accelerated = submit(queue, request(steps=8)), submit(queue, request(steps=50, sf=10))
    plain, accelerated = ended(queue, plain), ended(queue, accelerated)
    for job in (plain, accelerated):
        assert_a_video(job, folder)
        assert job.report is not None
        assert len(job.report.decisions) == job.step == job.request.steps

    assert plain.report and accelerated.report
    assert (plain.report.engaged, accelerated.report.engaged) == (False, True)

    for kind, label in (("full", "full"), ("cached", "predicted")):
        steps = sum(getattr(report, f"{kind}_steps") for report in (plain.report, accelerated.report))
        assert worker.metric("scalingcache_steps_total", kind=label, model=MODEL) == steps
    wait_until(lambda: worker.metric("scalingcache_jobs_total", model=MODEL, outcome="completed", reason="") == 2)
    assert "red circle" not in worker.log()


def test_a_cancel_in_mid_denoise_stops_at_the_next_step(queue: Queue, worker: WorkerProcess) -> None:
    job = submit(queue, LONG)
    denoising(queue, job)
    assert queue.jobs.cancel(job.key).cancel_requested
    assert ended(queue, job).state is JobState.CANCELLED
    [line] = wait_until(lambda: worker.logged("job ended", job=job.id))
    [asked] = worker.logged("stopping job", job=job.id)
    assert asked["why"] == "cancelled"
    assert line["steps"] < LONG.steps


def test_a_job_outlives_redis(server: EmbeddedRedis, queue: Queue, worker: WorkerProcess, folder: Path) -> None:
    job = submit(queue, request(steps=60, frames=9))
    denoising(queue, job)
    kill(server)
    server.start()
    finished = ended(queue, job)
    assert_a_video(finished, folder)
    assert finished.attempts == 1


def test_sigterm_gives_the_job_back_and_another_worker_finishes_it(
    queue: Queue, worker: WorkerProcess, start: Callable[..., WorkerProcess], folder: Path
) -> None:
    job = submit(queue, request(steps=60, frames=9))
    denoising(queue, job)
    worker.signal(signal.SIGTERM)
    wait_until(worker.ended, seconds=SECONDS)
    assert worker.process.returncode == 0
    released = queue.jobs.get(job.key)
    assert (released.state, released.attempts) == (JobState.QUEUED, 0)

    with start(lease_seconds=5) as second:
        denoising(queue, job)
        second.kill()  # and kill -9 in mid-job costs an attempt, not the job
    with start(worker="third") as third:
        finished = ended(queue, job)
        third.signal(signal.SIGTERM)
        wait_until(third.ended, seconds=SECONDS)
        assert third.process.returncode == 0
    assert_a_video(finished, folder)
    assert (finished.attempts, finished.worker) == (2, "third")
