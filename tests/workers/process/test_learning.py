"""What uncached runs have shown reaches the runs after them, on every worker, in real processes (`stand_in.py`)."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import MODEL, TENANT, a_request, submit
from tests.workers.process.jobs import ended
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs import keys
from workers.jobs.finished import FinishedJobs
from workers.jobs.job import JobState
from workers.jobs.observations import Observations
from workers.jobs.versions import Version
from workers.process.events import Learnt
from workers.process.learning import Learning


def test_what_a_run_has_shown_is_told_to_later_runs_here_and_on_other_workers(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    def result(prompt: str) -> str:
        job = wait_until(ended(queue, submit(queue, a_request(prompt))))
        assert job.state is JobState.COMPLETED and job.artifact is not None
        [file] = tmp_path.rglob(f"{Path(job.artifact.path).parent.name}/video.mp4")
        return file.read_text()

    def announced() -> Version:
        return wait_until(lambda: [info.versions[MODEL] for info in queue.presence.workers() if info.versions])[0]

    with start() as worker:
        assert result("what was observed") == ""
        first, request = announced(), a_request("what was observed")
        finished = FinishedJobs(queue.connection)
        assert finished.like(TENANT, request, first.of(request)) is not None
        result("show one")
        assert result("what was observed") == "one"
        wait_until(lambda: announced().learnt != first.learnt)
        assert finished.like(TENANT, request, first.of(request)) is None
        assert finished.like(TENANT, request, announced().of(request)) is not None
        result("show two")
        wait_until(lambda: len(worker.logged("uncached run kept")) == 2)
        for how in ("colour reddish", "colour bluish"):
            result(how)
        assert result("what was observed") == "one two", "it knows its own colours"
    with start():
        assert result("what was observed") == "one two bluish"
        assert result("what was observed") == "one two bluish", "each is told once"
        queue.connection.commands.delete(keys.observations(MODEL, ""))
        result("show three")
        assert result("what was observed") == "three", "what Redis has lost no other worker knows"


def test_a_run_brings_none_into_force_that_another_worker_has_added_meanwhile(queue: Queue) -> None:
    observations, metrics = Observations(queue.connection), Mock()
    learning = Learning(observations, Mock(), metrics, {MODEL: "weights"})
    text = json.dumps({"promotes": True, "schema": 2})
    learning.keep(a_request("first"), Learnt("promoted", text))
    learning.keep(a_request("second"), Learnt("promoted", text))
    listed = [json.loads(each) for each in observations.since(MODEL, "weights", ()) or []]
    assert listed == [{"promotes": True, "schema": 2}, {"promotes": False, "schema": 2}]
    assert [call.args for call in metrics.observed.call_args_list] == [(MODEL, "promoted"), (MODEL, "held_back")]
