"""What commands refuse before they measure anything: nowhere to write, or what is no file of theirs."""

from pathlib import Path

import pytest

from tests.workers.commands.command_line import run
from workers.commands.destinations import check_coefficients, check_evaluation, check_folder
from workers.jobs.errors import InvalidRequest

ALPHAS = Path("alphas")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"\xff\x00 not of this program")
    return path


def test_a_new_file_in_a_new_folder_is_taken_and_nothing_is_left_there(tmp_path: Path) -> None:
    for check in (lambda path: check_coefficients(path, "covariance"), check_evaluation):
        check(tmp_path / "new" / "deep" / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_a_file_as_a_folder_and_one_that_takes_nothing_are_refused(tmp_path: Path, file: Path) -> None:
    for check in (lambda path: check_coefficients(path, "covariance"), check_evaluation):
        with pytest.raises(InvalidRequest, match=f"--output: {tmp_path} is a folder; name a file"):
            check(tmp_path)
        for folder in (file, Path("/proc")):
            with pytest.raises(InvalidRequest, match=f"--output: no file can be written in {folder}: "):
                check(folder / "x.json")
    with pytest.raises(InvalidRequest, match=f"--work: no file can be written in {file}: Not a directory"):
        check_folder(file, "work")


def test_what_is_something_else_is_not_replaced(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(InvalidRequest, match=r"notes.txt is no coefficient file and would be replaced"):
        check_coefficients(file, "covariance")
    with pytest.raises(InvalidRequest, match=r"flux-tiny.paper.json is of the method paper, not covariance; name an"):
        check_coefficients(ALPHAS / "flux-tiny.paper.json", "covariance")
    for other in (file, ALPHAS / "flux-tiny.json"):
        with pytest.raises(InvalidRequest, match="is no evaluation and would be replaced"):
            check_evaluation(other)
    check_coefficients(ALPHAS / "flux-tiny.json", "covariance")
    check_evaluation(ALPHAS / "flux-tiny.evaluation.json")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        ("calibrate --method paper -o flux-tiny.json", "flux-tiny.json is of the method covariance, not paper"),
        ("calibrate -o {prompts}", "prompts.txt is no coefficient file"),
        ("calibrate --work {prompts}", "--work: no file can be written"),
        ("calibrate --max-skip 3", "--max-skip is of the paper's method, and this is of the method covariance"),
        ("calibrate --final-full-steps 0", "--final-full-steps is of the paper's method"),
        ("calibrate --colours-only --method paper", "--colours-only: coefficients of the paper's method"),
        ("calibrate --steps 2", "--steps 2: with fewer than 3 none is left to predict"),
        ("calibrate --plans 1 --limit 1 --steps 4", "--plans 1: of 4 steps all plans are the same, leave it out"),
        ("evaluate --sf 10 --work {prompts}", "--work: no file can be written"),
        ("evaluate --sf 10 -o {prompts}", "prompts.txt is no evaluation"),
        ("evaluate --sf 10 --sf 51", "--sf 51 must be at least 2 and below the number of steps, 50"),
        ("evaluate --sf -1", "--sf -1 must be at least 2"),
        ("evaluate --sf 10 --allow-uncalibrated", "--allow-uncalibrated is of the method paper, not covariance"),
        ("evaluate --sf 10 --coefficients alphas/flux-tiny.paper.json", "is of the method paper, not covariance"),
        (
            "evaluate --sf 10 --method paper --coefficients alphas/flux-tiny.json",
            "flux-tiny.json is of the method covariance, not paper; see --method",
        ),
    ],
)
def test_what_would_be_for_nothing_is_refused_at_once(
    tmp_path: Path, command: str, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in ("engine.loaded", "measurement.uncached_runs"):
        monkeypatch.setattr(f"workers.{where}.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red circle\na blue one\n")
    name, *options = command.format(prompts=prompts).split()
    with pytest.raises(InvalidRequest, match=refused):
        run(name, "--model", "flux-tiny", "--prompts", str(prompts), "--work", str(tmp_path / "work"), *options)
    assert prompts.read_text() == "a red circle\na blue one\n"
