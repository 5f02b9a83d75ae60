"""`python -m workers run` with a real pipeline: what a job goes through when things around it end."""

import hashlib
import os
import signal
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from demo.embedded_redis import EmbeddedRedis, RedisBinary
from tests.queues import Queue
from tests.redis_servers import kill
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from tests.workers.process.worker_process import ROOT, WorkerProcess
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import GenerationRequest, Job, JobState

#: Importing torch and diffusers takes long where cores are few.
SECONDS = 120.0
CHECKPOINT = ROOT / "demo" / "checkpoints" / "wan-tiny"


def request(steps: int, *, sf: int = 100, frames: int = 33) -> GenerationRequest:
    return a_request("a red circle moves right", steps=steps, sf=sf).model_copy(update={"frames": frames})


LONG = request(steps=100)


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
    if not (CHECKPOINT / "model_index.json").exists():
        missing = f"there is no checkpoint in {CHECKPOINT}; `make train-demo` makes one"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="module")
def start(server: EmbeddedRedis, folder: Path) -> Callable[..., WorkerProcess]:
    return lambda **settings: WorkerProcess("workers", server.url, folder, "run", torch_threads=1, **settings)


@pytest.fixture(scope="module")
def worker(start: Callable[..., WorkerProcess]) -> Iterator[WorkerProcess]:
    """One that lives through the tests which do not end it."""
    with start(metrics_port=0) as worker:
        yield worker


def ended(queue: Queue, job: Job) -> Job:
    def look() -> Job | None:
        now = queue.jobs.get(job.key)
        return now if now.state.terminal else None

    return wait_until(look, seconds=SECONDS, what=f"{job.id} ends")


def denoising(queue: Queue, job: Job) -> Job:
    def look() -> Job | None:
        now = queue.jobs.get(job.key)
        assert not now.state.terminal, "too fast for this test"
        return now if now.state is JobState.RUNNING and now.stage == "denoise" and now.step >= 1 else None

    return wait_until(look, seconds=SECONDS, what=f"{job.id} denoises")


def assert_a_video(job: Job, folder: Path) -> None:
    assert job.state is JobState.COMPLETED, job.error
    assert job.artifact is not None
    path = ArtifactStore(folder / "artifacts").path(job.artifact)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == job.artifact.sha256
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == job.request.frames


def test_jobs_become_videos_and_their_steps_are_counted(queue: Queue, worker: WorkerProcess, folder: Path) -> None:
    plain, accelerated = submit(queue, request(steps=8, frames=9)), submit(queue, request(steps=50, sf=10, frames=9))
    plain, accelerated = ended(queue, plain), ended(queue, accelerated)
    for job in (plain, accelerated):
        assert_a_video(job, folder)
        assert job.report is not None
        assert len(job.report.decisions) == job.step == job.request.steps

    [served] = worker.logged("metrics served")
    with urllib.request.urlopen(f"http://127.0.0.1:{served['port']}/metrics") as answer:
        metrics = answer.read().decode()
    assert plain.report
    assert accelerated.report
    full = plain.report.full_steps + accelerated.report.full_steps
    assert f'scalingcache_steps_total{{kind="full",model="wan-tiny"}} {full:.1f}' in metrics
    assert 'scalingcache_jobs_total{model="wan-tiny",outcome="completed",reason=""} 2.0' in metrics
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
    job = submit(queue, request(steps=20))
    denoising(queue, job)
    kill(server)
    server.start()
    finished = ended(queue, job)
    assert_a_video(finished, folder)
    assert finished.attempts == 1


def test_sigterm_gives_the_job_back_and_another_worker_finishes_it(
    queue: Queue, worker: WorkerProcess, start: Callable[..., WorkerProcess], folder: Path
) -> None:
    worker.signal(signal.SIGTERM)
    wait_until(worker.ended, seconds=SECONDS)
    assert worker.process.returncode == 0

    with start(drain_seconds=0) as first:
        job = submit(queue, request(steps=20))
        denoising(queue, job)
        first.signal(signal.SIGTERM)
        wait_until(first.ended, seconds=SECONDS)
        assert first.process.returncode == 0
        released = queue.jobs.get(job.key)
        assert (released.state, released.attempts) == (JobState.QUEUED, 0)

    with start() as second:
        denoising(queue, job)
        second.kill()  # and kill -9 in mid-job costs an attempt, not the job
        with start(worker="third"):
            finished = ended(queue, job)
    assert_a_video(finished, folder)
    assert (finished.attempts, finished.worker) == (2, "third")


def test_the_catalogue_that_is_tested_is_the_one_that_is_shipped() -> None:
    models = tomllib.loads((ROOT / "models.toml").read_text())["models"]
    assert (ROOT / models["wan-tiny"]["source"]).resolve() == CHECKPOINT
