"""Workers whose model two processes compute: none of them can be lost without the job going on."""

import signal
import subprocess
import sys
from contextlib import suppress
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
from tests.workers.process.worker_process import ROOT, WorkerProcess
from workers.engine.leader import FOLLOWER
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import Job, JobState
from workers.models.catalogue import Catalogue
from workers.models.entry import Parallel
from workers.parallel.loss import Loss

pytestmark = pytest.mark.slow
#: Importing torch and diffusers in three processes takes long where cores are few.
SECONDS = 200.0
#: Enough for two workers to be in the middle of a job each.
STEPS = 160


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_micro_wan(tmp_path / "micro-wan")
    entry = micro_entry(tmp_path / "micro-wan", parallel=Parallel(ulysses=2))
    entry = entry.model_copy(update={"limits": entry.limits.model_copy(update={"max_steps": 1000})})
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(entry))
    return path


@pytest.mark.timeout(900)
def test_of_two_groups_side_by_side_one_can_be_lost_and_its_job_goes_on(
    own_redis: EmbeddedRedis, queue: Queue, tmp_path: Path, path: Path
) -> None:
    """One is started by its worker, and one by torchrun."""
    long = Catalogue.read(path).request("micro-wan", "red circle", steps=STEPS, sf=STEPS, seed=7)
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "workers", "run")

    def worker(name: str, module: str, *arguments: str) -> WorkerProcess:
        folder = tmp_path / name
        folder.mkdir()
        return WorkerProcess(
            module, own_redis.url, folder, *arguments,
            catalogue=path, torch_threads=1, worker=name, artifacts=tmp_path / "artifacts", metrics_port=0,
            lease_seconds=60, beat_seconds=0.1,
        )  # fmt: skip

    (tmp_path / "artifacts").mkdir()
    with worker("one", "workers", "run") as one, worker("other", *torchrun) as other:
        for each in (one, other):
            wait_until(lambda each=each: each.logged("models loaded"), seconds=SECONDS)
        jobs = [submit(queue, long) for _ in range(2)]
        running = [wait_until(at_step(queue, job, 2), seconds=SECONDS) for job in jobs]
        [hit] = [job for job in running if job.worker == "one"]
        [spared] = [job for job in running if job.worker == "other"]
        group, others = [one.child, *followers(one.child)], family(other)
        group[1].kill()
        wait_until(lambda: not any(alive(process) for process in group), seconds=SECONDS)
        for job, attempts in ((spared, 1), (hit, 2)):
            done = wait_until(ended(queue, job), seconds=SECONDS)
            assert_published(done, tmp_path)
            assert done.attempts == attempts
            assert done.report is not None and done.report.full_steps == STEPS
            assert done.report.parallel is not None and done.report.parallel.ulysses == 2
        assert all(alive(process) for process in others)
        assert one.metric("scalingcache_group_failures_total", cause="ended") == 1
        retried = {"model": "micro-wan", "outcome": "retried", "reason": "group_failed"}
        assert one.metric("scalingcache_jobs_total", **retried) == 1

        last = submit(queue, long)
        taken = wait_until(at_step(queue, last, 2), seconds=SECONDS)
        queue.jobs.cancel(taken.key)
        assert wait_until(ended(queue, taken), seconds=SECONDS).state is JobState.CANCELLED
        remaining = [process for each in (one, other) for process in family(each)]
        for each in (one, other):
            each.signal(signal.SIGTERM)
            wait_until(each.ended, seconds=SECONDS)
        wait_until(lambda: not any(alive(process) for process in remaining), seconds=SECONDS)
    for each, by in ((one, "the worker"), (other, "torchrun")):
        assert each.logged("worker started")[0]["models"] == {"micro-wan": "float32 on cpu, 2 ranks (Ulysses 2)"}
        assert each.logged("group starting", by=by, ranks=2)
        assert each.logged("worker stopped")


@pytest.mark.parametrize(
    ("hit", "number", "code"),
    [(0, signal.SIGKILL, -9), (0, signal.SIGSTOP, -9), (1, signal.SIGSTOP, Loss.SILENT)],
    ids=["the first is killed", "the first is stopped", "another is stopped"],
)
def test_whichever_process_of_a_group_is_lost_all_of_them_end(hit: int, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "tests.workers.engine.idle_leader"]
    started = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert "watching\n" in iter(started.stdout.readline, "")
    group = [started, *followers(started)]
    try:
        group[hit].send_signal(number)
        assert started.wait(60) == code
        wait_until(lambda: not any(alive(process) for process in group))
    finally:
        for process in filter(alive, group):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        started.stdout.close()


def assert_published(job: Job, folder: Path) -> None:
    """The result is there, and it is that of one attempt."""
    assert job.state is JobState.COMPLETED and job.artifact is not None
    path = ArtifactStore(folder / "artifacts").path(job.artifact)
    assert path.stat().st_size == job.artifact.size_bytes
    assert len(list(path.parent.parent.glob("*/video.mp4"))) == 1


def followers(leader: psutil.Process) -> list[psutil.Process]:
    """The other processes of the group."""
    return [process for process in leader.children() if FOLLOWER in process.cmdline()]


def family(worker: WorkerProcess) -> list[psutil.Process]:
    """All processes of a worker."""
    first = psutil.Process(worker.process.pid)
    return [first, *first.children(recursive=True)]


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
