"""A worker whose model two processes compute: none of them can be lost without the job going on."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from demo.embedded_redis import EmbeddedRedis
from tests.catalogues import catalogue_text
from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import submit
from tests.workers.micro_wan import micro_entry, save_micro_wan
from tests.workers.process.jobs import at_step, ended
from tests.workers.process.worker_process import WorkerProcess
from workers.engine.leader import FOLLOWER
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import Job, JobState
from workers.models.catalogue import Catalogue
from workers.models.entry import Parallel

pytestmark = pytest.mark.slow
#: Importing torch and diffusers in three processes takes long where cores are few.
SECONDS = 200.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_micro_wan(tmp_path / "micro-wan")
    entry = micro_entry(tmp_path / "micro-wan", parallel=Parallel(ulysses=2))
    entry = entry.model_copy(update={"limits": entry.limits.model_copy(update={"max_steps": 1000})})
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(entry))
    return path


@pytest.mark.timeout(900)
def test_a_job_goes_on_whichever_process_of_its_group_is_killed_or_hangs(
    own_redis: EmbeddedRedis, queue: Queue, tmp_path: Path, path: Path
) -> None:
    long = Catalogue.read(path).request("micro-wan", "red circle", steps=300, sf=300, seed=7)

    def lost(job: Job, attempt: int, end: Callable[[], None]) -> None:
        """The attempt is running, and then it has ended otherwise."""

        def running() -> Job | None:
            now = at_step(queue, job, 2)()
            return now if now is not None and now.attempts == attempt else None

        wait_until(running, seconds=SECONDS)
        group = [worker.child, *followers(worker.child)]
        end()
        wait_until(lambda: not any(alive(process) for process in group), seconds=SECONDS)

    with WorkerProcess("workers", own_redis.url, tmp_path, "run", catalogue=path, torch_threads=1) as worker:
        first = submit(queue, long)
        lost(first, 1, lambda: followers(worker.child)[0].kill())
        lost(first, 2, lambda: worker.child.send_signal(signal.SIGSTOP))
        done = wait_until(ended(queue, first), seconds=SECONDS)
        assert done.attempts == 3
        assert_published(done, tmp_path)
        assert done.report is not None and done.report.full_steps == 300

        second = submit(queue, long)
        lost(second, 1, lambda: followers(worker.child)[0].send_signal(signal.SIGSTOP))
        lost(second, 2, lambda: worker.child.kill())
        wait_until(at_step(queue, second, 2), seconds=SECONDS)
        queue.jobs.cancel(second.key)
        assert wait_until(ended(queue, second), seconds=SECONDS).state is JobState.CANCELLED
        [follower] = followers(worker.child)
        worker.signal(signal.SIGTERM)
        wait_until(worker.ended, seconds=SECONDS)
        wait_until(lambda: not alive(follower), seconds=SECONDS)
    assert worker.logged("worker started")[0]["models"] == {"micro-wan": "float32 on cpu, 2 ranks (Ulysses 2)"}


@pytest.mark.timeout(600)
def test_torchrun_starts_a_worker_whose_other_processes_follow_it(
    own_redis: EmbeddedRedis, queue: Queue, tmp_path: Path, path: Path
) -> None:
    torchrun = ("--standalone", "--nproc-per-node", "2", "-m", "workers", "run")
    request = Catalogue.read(path).request("micro-wan", "red circle", steps=12, sf=4, seed=7)
    with WorkerProcess(
        "torch.distributed.run", own_redis.url, tmp_path, *torchrun, catalogue=path, torch_threads=1
    ) as worker:
        done = wait_until(ended(queue, submit(queue, request)), seconds=SECONDS)
        assert_published(done, tmp_path)
        assert done.attempts == 1 and done.report is not None and done.report.engaged
        assert worker.logged("group starting", by="torchrun", ranks=2)
        worker.signal(signal.SIGTERM)
        wait_until(worker.ended, seconds=SECONDS)
    assert worker.logged("worker stopped")


def assert_published(job: Job, folder: Path) -> None:
    """The result is there, and it is that of one attempt."""
    assert job.state is JobState.COMPLETED and job.artifact is not None
    path = ArtifactStore(folder / "artifacts").path(job.artifact)
    assert path.stat().st_size == job.artifact.size_bytes
    assert len(list(path.parent.parent.glob("*/video.mp4"))) == 1


def followers(leader: psutil.Process) -> list[psutil.Process]:
    """The other processes of the group."""
    return [process for process in leader.children() if FOLLOWER in process.cmdline()]


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
