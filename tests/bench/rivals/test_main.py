"""The driver: one process after the other, the headline's choice, the files it writes; and one rival for real."""

import json
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from bench.rivals import launch
from bench.rivals.__main__ import _headlines, _merged, main
from bench.rivals.records import Outcomes, Results
from tests.bench.rivals.made_up import some_outcomes
from tests.workers.micro_wan import micro_entry, save_micro_wan
from workers.jobs.errors import InvalidRequest

CATALOGUE = Path("models.toml").absolute()

STAND_IN = """#!{python}
import json, pathlib, shutil, sys, time
given = dict(zip(sys.argv[3::2], sys.argv[4::2]))
kind = "headline" if "--held-out" in given else "sweep"
folder = pathlib.Path({folder!r})
with (folder / "started").open("a") as log:
    log.write(kind + " " + given["--rival"] + " " + given.get("--settings", "") + "\\n")
print("a library says hello", flush=True)
print(json.dumps({{"done": 1, "total": 2, "made": 1, "seconds": 1.0}}), flush=True)
if given["--rival"] == "dbcache":
    sys.exit("this one is broken")
if given["--rival"] == "scm":
    time.sleep(1000)
shutil.copy(folder / (given["--rival"] + "." + kind + ".json"), given["--output"])
"""


def invoke(*arguments: str) -> Result:
    app = Typer()
    app.command()(main)
    return CliRunner().invoke(app, [*arguments, "--threads", "1"])


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of prepared outcomes, which a process in place of a rival's hands out."""
    script = tmp_path / "python"
    script.write_text(STAND_IN.format(python=sys.executable, folder=str(tmp_path)))
    script.chmod(0o755)
    monkeypatch.setattr(launch.sys, "executable", str(script))
    return tmp_path


def prepare(folder: Path, rival: str, gain: float) -> None:
    made = some_outcomes(rival, gain)
    made.model_copy(update={"headline": ()}).save(folder / f"{rival}.sweep.json")
    made.model_copy(update={"rows": (), "timings": ()}).save(folder / f"{rival}.headline.json")


def test_all_sweeps_come_first_and_the_best_have_a_headline(stand_in: Path) -> None:
    for rival, gain in (("paper", 0.0), ("easy-cache", -1.0), ("tea-cache", 2.0), ("fewer-steps", 1.0)):
        prepare(stand_in, rival, gain)
    only = [f"--only={name}" for name in ("paper", "easy-cache", "tea-cache", "fewer-steps")]
    result = invoke(*only, "--work", str(stand_in / "work"), "--docs", str(stand_in / "docs"), "--best", "1")
    assert result.exit_code == 0, result.output
    started = (stand_in / "started").read_text().splitlines()
    assert started[:4] == ["sweep easy-cache ", "sweep fewer-steps ", "sweep paper ", "sweep tea-cache "]
    assert started[4:] == ["headline paper [2.0, 3.0]", "headline tea-cache [2.0, 3.0]"]
    results = Results.load(stand_in / "docs" / "wan-tiny.json")
    assert [bool(each.headline) for each in results.outcomes] == [False, False, True, True]
    page = (stand_in / "docs" / "wan-tiny.md").read_text()
    assert "2.5x on held-out prompts" in page and "wan-tiny.png" in page
    assert (stand_in / "docs" / "wan-tiny.png").exists()


def test_a_rival_that_fails_or_hangs_does_not_stop_the_others_and_is_told(stand_in: Path) -> None:
    prepare(stand_in, "paper", 0.0)
    only = [f"--only={name}" for name in ("dbcache", "paper", "scm")]
    folders = "--work", str(stand_in / "work"), "--docs", str(stand_in / "docs")
    result = invoke(*only, *folders, "--patience", "0.2", "--held-out", "0")
    assert result.exit_code == 1
    assert "dbcache: its process ended with 1" in result.output and "this one is broken" in result.output
    assert "scm: no news for 0.2 minutes" in result.output
    found = {each.rival: each.failed for each in Results.load(stand_in / "docs" / "wan-tiny.json").outcomes}
    assert found == {"dbcache": "its process ended with 1", "paper": None, "scm": "no news for 0.2 minutes"}
    written = (stand_in / "docs" / "wan-tiny.md").read_text()
    assert "Rivals that failed" in written and "| no news for 0.2 minutes |" in written


def test_a_page_of_some_rivals_leaves_that_of_all_alone(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stand_in)
    prepare(stand_in, "paper", 0.0)
    result = invoke("--only", "paper", "--work", "work", "--held-out", "0", "--catalogue", str(CATALOGUE))
    assert result.exit_code == 0, result.output
    assert (stand_in / "work" / "wan-tiny" / "wan-tiny.md").exists() and not (stand_in / "docs").exists()


def test_an_unknown_rival_is_refused_with_those_there_are(tmp_path: Path) -> None:
    result = invoke("--only", "no-such", "--docs", str(tmp_path))
    assert isinstance(result.exception, InvalidRequest)
    assert "no-such" in str(result.exception) and "tea-cache" in str(result.exception)


def test_the_headline_is_of_ours_the_paper_and_the_best_that_reach_its_speedup() -> None:
    slow = some_outcomes("slow", 50.0)
    slow = slow.model_copy(update={"rows": slow.rows[:4]})
    refusing = Outcomes(rival="sea", title="s", knob="k", refused="no")
    swept = [slow, refusing, some_outcomes("a", 1.0), some_outcomes("b", 3.0), some_outcomes("paper", -9.0)]
    swept.append(some_outcomes("ours-prior", -5.0))
    assert [job.rival for job in _headlines(swept, 1)] == ["paper", "ours-prior", "b"]


def test_a_headline_that_failed_is_told_beside_the_sweep_that_did_not() -> None:
    swept = some_outcomes("paper", 0.0).model_copy(update={"headline": ()})
    failed = Outcomes(rival="paper", title="p", knob="k", failed="its process ended with 1")
    (merged,) = _merged([swept], [failed])
    assert merged.rows == swept.rows and merged.failed == "its process ended with 1"


def test_one_rival_is_measured_in_a_real_process(tmp_path: Path) -> None:
    checkpoint = tmp_path / "micro-wan"
    save_micro_wan(checkpoint)
    entry = micro_entry(checkpoint)
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(toml("micro-wan", json.loads(entry.model_dump_json(exclude_none=True, exclude={"name"}))))
    folders = "--work", str(tmp_path / "work"), "--docs", str(tmp_path / "docs")
    sizes = "--prompts", "1", "--pairs", "1", "--held-out", "0", "--steps", "6"
    result = invoke("--model", "micro-wan", "--catalogue", str(catalogue), "--only", "fewer-steps", *sizes, *folders)
    assert result.exit_code == 0, result.output
    (found,) = Results.load(tmp_path / "docs" / "micro-wan.json").outcomes
    assert [row.setting for row in found.rows] == [2, 3, 4]
    assert found.rows[1].cost == pytest.approx(0.5)
    assert found.timings


def toml(name: str, fields: dict[str, object]) -> str:
    """A catalogue of one model."""
    plain = {key: value for key, value in fields.items() if not isinstance(value, dict)}
    tables = {"": plain} | {key: value for key, value in fields.items() if isinstance(value, dict)}
    lines = []
    for table, values in tables.items():
        lines.append(f"[models.{name}.{table}]" if table else f"[models.{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines)
