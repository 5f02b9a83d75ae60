"""The process that holds the model, without a supervisor or a queue."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.factories import MODEL, TENANT, a_request
from tests.workers.process.stand_in import BROKEN, make
from workers.jobs.job import AttemptKey, JobError, new_job_id
from workers.models.catalogue import Catalogue
from workers.parallel.loss import Loss
from workers.process.child import Child, ChildDied, ChildSettings
from workers.process.events import (
    Done,
    Event,
    Failed,
    Load,
    LoadFailed,
    Ready,
    Run,
    StageStarted,
    StepDone,
    Stop,
    Stopped,
)

CATALOGUE = Catalogue.read(Path("models.toml"))


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child(ChildSettings(CATALOGUE, tmp_path, (MODEL,), None), make)
    yield child
    child.kill()


def a_run(prompt: str) -> Run:
    return Run(AttemptKey(TENANT, new_job_id(MODEL), "a" * 32), a_request(prompt))


def next_event(child: Child) -> Event:
    event = child.receive(30)
    assert event is not None
    return event


def last_event(child: Child) -> Event:
    while isinstance(event := next_event(child), Ready | StageStarted | StepDone):
        pass
    return event


def test_it_loads_then_tells_every_step_of_a_job(child: Child, tmp_path: Path) -> None:
    ready = next_event(child)
    assert isinstance(ready, Ready)
    assert ready.models == (MODEL,)
    child.send(run := a_run("steps 2 of 0"))
    assert next_event(child) == StageStarted(run.key.job_id, "denoise")
    assert [next_event(child) for _ in range(2)] == [StepDone(run.key.job_id, step, "full", 0.0) for step in range(2)]
    done = next_event(child)
    assert isinstance(done, Done)
    assert done.job_id == run.key.job_id
    assert (tmp_path / done.artifact.path).exists()
    assert child.receive(0) is None


def test_a_stop_ends_its_job_and_only_its_job(child: Child) -> None:
    first, second = a_run("steps 10000 of 0.01"), a_run("steps 2 of 0")
    child.send(first)
    child.send(Stop(first.key.job_id))
    assert last_event(child) == Stopped(first.key.job_id)
    child.send(Stop(first.key.job_id))
    child.send(second)
    assert isinstance(last_event(child), Done)


def test_a_failure_crosses_the_pipe_as_code_and_message(child: Child) -> None:
    child.send(run := a_run("run out of memory"))
    assert last_event(child) == Failed(run.key.job_id, "out_of_memory", "no memory", 2, True)
    child.send(run := a_run("raise"))
    assert last_event(child) == Failed(run.key.job_id, "generation_failed", "the worker raised RuntimeError", 2, False)
    child.send(run := a_run("refuse"))
    assert last_event(child) == Failed(run.key.job_id, "invalid_request", "not this one", 1, False)


def test_its_death_is_told_after_all_it_sent(child: Child) -> None:
    child.send(run := a_run("abort"))
    assert isinstance(next_event(child), Ready)
    assert next_event(child) == StageStarted(run.key.job_id, "denoise")
    with pytest.raises(ChildDied, match="exit code -6"):
        next_event(child)
    assert not child.alive


@pytest.mark.parametrize(("prompt", "loss"), [("part", Loss.PARTED), ("lose a rank", Loss.ENDED)])
def test_a_group_that_fails_ends_it_with_what_was_lost(child: Child, prompt: str, loss: Loss) -> None:
    child.send(a_run(prompt))
    with pytest.raises(ChildDied):
        last_event(child)
    child.close()
    assert child.exit_code == loss


def test_a_closed_pipe_ends_it_in_mid_job(child: Child) -> None:
    child.send(a_run("hang"))
    assert isinstance(next_event(child), Ready)
    pid = child.pid
    assert pid is not None
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_model_that_cannot_be_loaded_does_not_keep_another_from_its_jobs_and_is_tried_again(tmp_path: Path) -> None:
    broken = tmp_path / f"{BROKEN}-flux-tiny"
    broken.touch()
    child = Child(ChildSettings(CATALOGUE, tmp_path, ("flux-tiny", MODEL), None), make)
    ready = next_event(child)
    assert isinstance(ready, Ready)
    assert (ready.models, ready.failed) == (
        (MODEL,),
        {"flux-tiny": JobError(code="model_load_failed", message="broken")},
    )
    child.send(a_run("steps 1 of 0"))
    assert isinstance(last_event(child), Done)
    child.send(Load(("flux-tiny",)))
    again = next_event(child)
    assert isinstance(again, Ready)
    assert (again.models, again.failed) == ((), ready.failed) and again.failing_seconds > 0
    broken.unlink()
    child.send(Load(("flux-tiny",)))
    ready = next_event(child)
    assert isinstance(ready, Ready)
    assert (ready.models, ready.failed) == (("flux-tiny",), {})
    child.kill()


def test_a_model_that_cannot_be_loaded_is_told_and_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / BROKEN).touch()
    child = Child(ChildSettings(CATALOGUE, tmp_path, (MODEL,), None), make)
    assert next_event(child) == LoadFailed("model_load_failed", "broken", (MODEL,))
    with pytest.raises(ChildDied, match="exit code 0"):
        next_event(child)
    child.close()
