"""`python -m service status`: what an operator sees."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from service import status
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import MODEL, FakeWorker
from tests.service.serving import environment
from tests.workers.factories import a_request, submit
from workers.jobs.job import JobError

SECRET = "a prompt that nobody else reads"


@pytest.fixture
def busy(queue: Queue, worker: FakeWorker) -> FakeWorker:
    """One job failed, one runs at step 12, one waits."""
    worker.announce("busy")
    submit(queue, a_request(SECRET, model=MODEL), tenant="acme")
    worker.fail(worker.claim(), "out_of_memory", "too large")
    submit(queue, a_request(SECRET, model=MODEL), tenant="acme")
    queue.leases.beat(worker.claim(), "denoise", 12)
    submit(queue, a_request(SECRET, model=MODEL), tenant="beta")
    return worker


def test_it_tells_workers_queues_progress_and_failures(queue: Queue, busy: FakeWorker) -> None:
    now = status.read(queue.connection, [MODEL])
    (worker,), (load,), (running,), (failed,) = now.workers, now.queues, now.running, now.failures
    assert (worker.name, worker.state, worker.models, worker.job) == (busy.name, "busy", [MODEL], running.id)
    assert (load.workers, load.queued, load.running) == (1, 1, 1)
    assert (running.stage, running.step, running.steps, running.attempts) == ("denoise", 12, 50, 1)
    assert (failed.state, failed.code, failed.message) == ("failed", "out_of_memory", "too large")
    assert now.persisting is True


def test_a_worker_that_cannot_load_its_model_says_why(queue: Queue, worker: FakeWorker) -> None:
    worker.fail_to_load("model_load_failed", "no file in /models/wan")
    now = status.read(queue.connection, [MODEL])
    assert (now.workers[0].models, now.workers[0].serves) == ([], {MODEL: "bfloat16 on cuda"})
    assert now.workers[0].problem == "model_load_failed: no file in /models/wan"
    assert "model_load_failed" in drawn(now)


def test_an_idle_worker_says_what_it_does(queue: Queue) -> None:
    queue.presence.announce("w", [MODEL], "idle", {MODEL: "bfloat16 on cuda"}, doing="shadow of video_m_1")
    now = status.read(queue.connection, [MODEL])
    assert (now.workers[0].state, now.workers[0].doing) == ("idle", "shadow of video_m_1")
    assert "shadow of video_m_1" in drawn(now)
    queue.presence.announce("w", [MODEL], "idle", {MODEL: "bfloat16 on cuda"})
    assert status.read(queue.connection, [MODEL]).workers[0].doing is None


@pytest.mark.parametrize("name", ["w[/]", "[red]w", "w\x1b[31m"])
def test_a_name_of_another_program_is_shown_as_it_is_and_changes_no_screen(queue: Queue, name: str) -> None:
    queue.presence.announce(name, [], "failed", {"m[/]": "[bold]"}, JobError(code="[/]", message="\x1b[2J"))
    text = drawn(status.read(queue.connection, [MODEL]))
    assert name.replace("\x1b", "\\x1b") in text and "m[/] ([bold])" in text
    assert "\x1b" not in text


def test_an_empty_system_says_so(queue: Queue) -> None:
    now = status.read(queue.connection, [MODEL])
    assert (now.workers, now.running, now.failures) == ([], [], [])
    assert drawn(now).count("none") == 4


def test_the_tables_fit_a_terminal_and_never_show_a_prompt(queue: Queue, busy: FakeWorker) -> None:
    now = status.read(queue.connection, [MODEL])
    text = drawn(now)
    for part in ("Queues", "Workers", "Running", "Last failures", "12/50", "out_of_memory: too large", busy.name):
        assert part in text
    for job in (*now.running, *now.failures):
        assert job.id in text, "in one piece, or it could not be copied"
    assert SECRET not in text
    assert max(map(len, text.splitlines())) <= 80


def test_failures_beyond_the_last_five_are_left_out(queue: Queue, worker: FakeWorker) -> None:
    for number in range(7):
        submit(queue, a_request(model=MODEL))
        worker.fail(worker.claim(), "generation_failed", f"failure {number}")
    messages = [job.message for job in status.read(queue.connection, [MODEL]).failures]
    assert messages == [f"failure {number}" for number in (6, 5, 4, 3, 2)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (125, "2 min 5 s"), (11_400, "3 h 10 min")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert status.duration(seconds) == text


def test_the_command_gives_json_for_machines(settings: Settings, busy: FakeWorker) -> None:
    done = run(settings, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert [queue["model"] for queue in json.loads(done.stdout)["queues"]] == [MODEL]
    assert SECRET not in done.stdout


def test_without_redis_the_command_says_so_and_fails(settings: Settings) -> None:
    done = run(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}), "status")
    assert done.returncode == 1
    assert "Redis" in done.stderr and "Traceback" not in done.stderr


def test_watch_goes_on_until_ctrl_c(settings: Settings, busy: FakeWorker) -> None:
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "service", "status", "--watch"]
    variables = environment(settings) | {"TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    process = subprocess.Popen(command, env=variables, stdin=terminal, stdout=terminal, stderr=terminal)
    signal.signal(signal.SIGINT, usual)
    os.close(terminal)
    shown = b""
    while shown.count(b"Last failures") < 2:  # drawn, and drawn again; pytest's timeout ends the wait
        shown += os.read(screen, 65536)
    process.send_signal(signal.SIGINT)
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while os.read(screen, 65536):  # unread, its last words would keep the process from ending
            pass
    assert process.wait(timeout=30) == 0
    os.close(screen)
    assert b"12/50" in shown


def run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=60, check=False)


def drawn(now: status.SystemStatus) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(status.render(now))
    return console.export_text()


def test_an_operator_gets_the_same_by_a_call(client: TestClient, queue: Queue, busy: FakeWorker) -> None:
    told = client.get("/v1/status").json()
    read = status.read(queue.connection, [MODEL]).model_dump(mode="json")
    assert [(each["name"], each["state"]) for each in told["workers"]] == [("worker-1", "busy")]
    assert told["queues"][0].keys() == read["queues"][0].keys() and told["queues"][0]["running"] == 1
    assert [job["id"] for job in told["running"]] == [job["id"] for job in read["running"]]
    assert "prompt" not in str(told)
