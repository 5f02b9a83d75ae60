"""The command: what is kept is said and not run, what fails stops it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.measured import __main__ as command
from bench.measured.record import Record
from bench.measured.steps import Step
from workers.jobs.errors import InvalidRequest

PROGRAM = """import sys, pathlib
log = pathlib.Path("log")
log.write_text((log.read_text() if log.exists() else "") + sys.argv[1] + " ")
print("a table of", sys.argv[1])
if sys.argv[1] == "broken" and not pathlib.Path("mended").exists():
    sys.exit(3)
pathlib.Path(sys.argv[1]).write_text("made")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command.console, "width", 200)
    return tmp_path


def step(name: str, printed: str | None = None) -> Step:
    outputs = (Path(name), Path(printed)) if printed else (Path(name),)
    return Step(name, ("program", name), "", (Path("program.py"),), outputs, Path(printed) if printed else None)


def test_a_command_that_fails_stops_it_and_what_was_finished_is_kept(folder: Path) -> None:
    record, todo = Record(folder / "record", folder), [step("first"), step("broken"), step("last", "out/last.txt")]
    with command.console.capture() as printed, pytest.raises(SystemExit):
        command.measure(todo, record, listed=False, again=False)
    assert "broken: ended with code 3; what is finished is kept" in printed.get()
    (folder / "mended").touch()
    with command.console.capture() as printed:
        command.measure(todo, record, listed=False, again=False)
    assert "1/3 first: kept" in printed.get() and "3/3 last: done" in printed.get()
    assert (folder / "log").read_text() == "first broken broken last "
    assert (folder / "out" / "last.txt").read_text() == "a table of last\n"
    command.measure(todo[:1], record, listed=False, again=True)
    assert (folder / "log").read_text().endswith("last first ")


def test_a_list_says_what_is_kept_and_runs_nothing(folder: Path) -> None:
    record, todo = Record(folder / "record", folder), [step("first"), step("second")]
    command.measure(todo[:1], record, listed=False, again=False)
    with command.console.capture() as printed:
        command.measure(todo, record, listed=True, again=False)
    assert printed.get().splitlines() == ["1/2 first: kept", "2/2 second: to do"]
    assert not (folder / "second").exists()


def test_a_model_that_is_no_demo_checkpoint_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="wan-huge: it is no demo checkpoint; there are wan-tiny"):
        CliRunner().invoke(command.app, ["--model", "wan-huge"], catch_exceptions=False)
