"""What commands show, that it is shown as it is, and how they end on Ctrl-C."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from tests.catalogues import catalogue_text
from tests.waiting import wait_until
from tests.workers.micro_wan import micro_entry
from workers.__main__ import app
from workers.commands import console as shown
from workers.jobs.job import GenerationRequest, PromptTokens, RunReport
from workers.measurement import tables

VALUE = "pip install 'scalingcache-serve[quantization]' :smile: [/] [bold]x"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the commands' console writes, wide enough that nothing is broken."""
    screen = io.StringIO()
    monkeypatch.setattr(shown.console, "_file", screen)
    monkeypatch.setattr(shown.console, "width", 200)
    monkeypatch.setattr(shown.console, "_force_terminal", True)
    yield screen


def test_what_is_in_square_brackets_is_shown_in_lines_tables_titles_and_bars(screen: io.StringIO) -> None:
    table = Table("a", title=VALUE)
    table.add_column(VALUE)
    table.add_row(VALUE, "x")
    shown.console.print(VALUE)
    shown.console.print(table)
    with shown.status(VALUE):
        pass
    with shown.progress() as bar:
        shown.Done(bar, VALUE, 1)(1, 1)
    written = screen.getvalue()
    assert written.count("serve[quantization]' :smile: [/] [bold]x") == written.count("serve") >= 5


@pytest.fixture
def folder(micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run commands in, with the catalogue of the micro checkpoint."""
    entry = micro_entry(micro_folder, coefficients=("micro-wan.json",))
    (tmp_path / "models.toml").write_text(catalogue_text(entry))
    (tmp_path / "prompts.txt").write_text("red circle\ncircle\nred\n" * 30)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """As in a terminal, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("command", "first", "words"),
    [
        (["calibrate", "--prompts", "prompts.txt"], "build/calibration/*.npz",
         "of 90 generations are finished and kept in build/calibration; the same command goes on after them"),
        (["evaluate", "--prompts", "prompts.txt", "--sf", "4"], "build/evaluation/*.json",
         "of 90 prompts are finished and kept in build/evaluation; the same command goes on after them"),
        (["generate", "--prompts", "prompts.txt", "-o", "out"], "out/*.mp4",
         "of 90 files are written, the last one is out/0"),
    ],
    ids=["calibrate", "evaluate", "generate"],
)  # fmt: skip
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(folder: Path, command: list[str], first: str, words: str) -> None:
    def interrupt() -> None:
        # With the second there, the first is counted.
        wait_until(lambda: len(list(folder.glob(first))) > 1, seconds=240, awaited=first)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = CliRunner().invoke(app, [*command, "--model", "micro-wan"])
    thread.join()
    assert result.exit_code == shown.INTERRUPTED
    [line] = [line for line in result.output.splitlines() if line.startswith("stopped: ")]
    assert words in line and not line.startswith("stopped: 0 of")
    assert not list(folder.rglob("*.tmp"))


def test_before_anything_was_done_ctrl_c_says_that_too(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        shown.interruptible_command(command)()
    assert ended.value.exit_code == shown.INTERRUPTED
    assert "stopped: nothing was begun" in capsys.readouterr().err


def test_a_command_prints_nothing_that_its_libraries_say(folder: Path) -> None:
    """Warnings, progress bars and reports of what was read; with all warnings on."""
    command = [sys.executable, "-W", "default", "-m", "workers", "generate", "--model", "micro-wan"]
    request = ["--prompt", "red [bold] circle", "--steps", "4", "--sf", "4", "-o", "x.mp4"]
    paths = {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([*command, *request], env=os.environ | paths, capture_output=True, text=True, check=True)
    assert "Loading" not in done.stderr and "it/s" not in done.stderr and "Warning" not in done.stderr
    assert "red [bold] circle" in done.stderr
    assert done.stdout == ""


def test_a_report_says_what_the_service_would() -> None:
    request = GenerationRequest(
        model="m", prompt="a [red] circle", width=32, height=32, frames=5, fps=8, steps=12, sf=4, guidance=1.0, seed=7,
        basis_runs=2, allow_uncalibrated=True,
    )  # fmt: skip
    report = RunReport(
        steps=12, full_steps=12, cached_steps=0, decisions="F" * 12, engaged=False, reason=None, speedup_measured=1.0,
        speedup_estimated=1.0, full_step_seconds=0.1, predicted_step_seconds=None, cache_bytes=0, timings={},
        no_effect={"negative_prompt": "guidance 1 is not above 1"},
        prompt_tokens=[PromptTokens(prompt="prompt", encoder="text_encoder", read=8, total=9)],
    )  # fmt: skip
    screen = io.StringIO()
    Console(file=screen, width=200, markup=False).print(tables.of_report(report, request))
    for words in ("a [red] circle", "text_encoder read 8 of 9", "negative_prompt: guidance 1 is not above 1",
                  "sf: nothing was predicted", "basis_runs: nothing was predicted",
                  "allow_uncalibrated: nothing was predicted"):  # fmt: skip
        assert words in screen.getvalue()
