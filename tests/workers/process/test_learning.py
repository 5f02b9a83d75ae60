"""What uncached runs have shown reaches the runs after them, on every worker, in real processes (`stand_in.py`)."""

from collections.abc import Callable
from pathlib import Path

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from tests.workers.process.jobs import ended
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs.job import JobState


def test_what_a_run_has_shown_is_told_to_later_runs_here_and_on_other_workers(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    def result(prompt: str) -> str:
        job = wait_until(ended(queue, submit(queue, a_request(prompt))))
        assert job.state is JobState.COMPLETED and job.artifact is not None
        [file] = tmp_path.rglob(f"{Path(job.artifact.path).parent.name}/video.mp4")
        return file.read_text()

    with start() as worker:
        assert result("what was observed") == ""
        result("show one")
        assert result("what was observed") == "one"
        result("show two")
        wait_until(lambda: len(worker.logged("uncached run kept")) == 2)
    with start():
        assert result("what was observed") == "one two"
        assert result("what was observed") == "one two", "each is told once"
