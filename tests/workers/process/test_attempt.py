"""How attempts end that do not end well, in real processes (`stand_in.py`)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.embedded_redis import EmbeddedRedis
from tests.queues import Queue
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from tests.workers.process.jobs import assert_published, ended
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs.events import START, Events, JobEvent
from workers.jobs.job import JobState


@pytest.mark.parametrize(
    ("prompt", "state", "code", "attempts"),
    [
        ("abort", JobState.DEAD, "worker_crashed", 3),
        ("run out of memory", JobState.DEAD, "out_of_memory", 2),
        ("break the device", JobState.DEAD, "device_error", 3),
        ("fill the disk", JobState.FAILED, "storage_full", 1),
        ("refuse", JobState.FAILED, "invalid_request", 1),
        ("raise", JobState.DEAD, "generation_failed", 2),
    ],
)
def test_a_job_that_fails_gets_its_attempts_and_others_run_on(
    queue: Queue, start: Callable[..., WorkerProcess], prompt: str, state: JobState, code: str, attempts: int
) -> None:
    with start() as worker:
        bad, good = submit(queue, a_request(prompt)), submit(queue)
        failed = wait_until(ended(queue, bad))
        assert wait_until(ended(queue, good)).state is JobState.COMPLETED

    assert (failed.state, failed.attempts) == (state, attempts)
    assert failed.error is not None
    assert failed.error.code == code
    assert "secret" not in failed.error.message + worker.log()


def test_what_the_process_says_of_another_job_neither_ends_nor_moves_this_one(
    queue: Queue, start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    with start() as worker:
        job = submit(queue, a_request("speak of another job"))
        assert_published(wait_until(ended(queue, job)), tmp_path)
        [line] = wait_until(lambda: worker.logged("job ended", job=job.id))
    assert (line["outcome"], line["steps"]) == ("completed", 1)


def test_a_hung_step_is_ended_and_the_process_replaced(queue: Queue, start: Callable[..., WorkerProcess]) -> None:
    with start(step_timeout_seconds=2):
        job = submit(queue, a_request("hang"))
        failed = wait_until(ended(queue, job))
        assert (failed.state, failed.attempts) == (JobState.DEAD, 3)
        assert failed.error is not None
        assert failed.error.code == "step_timeout"
        assert wait_until(ended(queue, submit(queue))).state is JobState.COMPLETED


@pytest.mark.parametrize("prompt", ["steps 3 of 0.001", "steps 60 of 0.02"])
def test_every_step_is_told_of_with_its_kind_however_many_come_together(
    queue: Queue, own_redis: EmbeddedRedis, start: Callable[..., WorkerProcess], prompt: str
) -> None:
    async def steps(job_id: str) -> list[JobEvent]:
        events = Events(own_redis.url)
        try:
            return [event for event in await events.history(job_id, START) if event.type == "step"]
        finally:
            await events.close()

    with start():
        job = submit(queue, a_request(prompt))
        wait_until(ended(queue, job))
        told = asyncio.run(steps(job.id))
    count = int(prompt.split()[1])
    assert "".join(event.decisions for event in told) == "F" * count
    assert (told[-1].step, told[-1].full_steps) == (count, count)
    assert all(event.full_step_seconds for event in told)
