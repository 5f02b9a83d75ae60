"""What a job that a worker process runs has come to."""

from collections.abc import Callable
from pathlib import Path

from tests.queues import Queue
from tests.workers.factories import TENANT
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import Job, JobState


def ended(queue: Queue, job: Job) -> Callable[[], Job | None]:
    def look() -> Job | None:
        now = queue.jobs.get(job.key)
        return now if now.state.terminal else None

    return look


def at_step(queue: Queue, job: Job, step: int) -> Callable[[], Job | None]:
    def look() -> Job | None:
        now = queue.jobs.get(job.key)
        return now if now.state is JobState.RUNNING and now.step >= step else None

    return look


def assert_published(job: Job, folder: Path) -> None:
    assert job.state is JobState.COMPLETED
    assert job.artifact is not None
    path = ArtifactStore(folder / "artifacts").path(job.artifact)
    assert path.stat().st_size == job.artifact.size_bytes
    files = [file for file in (folder / "artifacts" / TENANT / job.id).rglob("*") if file.is_file()]
    assert files == [path], "exactly one file, that of the attempt that won"
