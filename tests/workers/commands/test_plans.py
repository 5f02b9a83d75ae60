"""`calibrate --plans`: whole runs choose which steps are computed in full."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.catalogues import catalogue_text
from tests.workers.commands.command_line import run
from tests.workers.micro_wan import micro_entry
from workers.__main__ import app
from workers.engine.coefficient_files import read_coefficients
from workers.engine.generation import Generation
from workers.engine.loaded import LoadedModel
from workers.jobs.errors import InvalidRequest, NotFinite
from workers.jobs.job import GenerationRequest
from workers.measurement import plan_choice
from workers.scalingcache.measured import MeasuredCovariance


@pytest.fixture
def catalogue(micro_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(catalogue_text(micro_entry(micro_folder, coefficients=("micro-wan.json",))))
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("red circle\ncircle\nred\n")
    return path


def arguments(catalogue: Path, prompts: Path, *more: str) -> list[str]:
    return ["calibrate", "--model", "micro-wan", "--prompts", str(prompts), "--catalogue", str(catalogue),
            "--work", str(prompts.parent / "work"), *more]  # fmt: skip


def calibrate(catalogue: Path, prompts: Path, *more: str) -> tuple[MeasuredCovariance, str]:
    output = run(*arguments(catalogue, prompts, *more))
    measured = read_coefficients(prompts.parent / "micro-wan.json")
    assert isinstance(measured, MeasuredCovariance)
    return measured, output


def test_plans_are_chosen_by_whole_runs_of_other_prompts_and_hold_for_later_runs(
    catalogue: Path, prompts: Path
) -> None:
    measured, output = calibrate(catalogue, prompts, "--limit", "1", "--plans", "2")
    assert measured.covariance.runs == 1
    assert measured.prior_shares.keys() == {6, 8}, "the only ones of 2 to 8 that have several plans"
    assert measured.provenance["plans"] == "by whole runs of 2 more prompts"
    assert set(measured.prior_shares.values()) <= {0.0, 0.67, 1.0}
    assert "by whole runs" in output and output.count("│ chosen │") == len(measured.prior_shares)
    assert "measured, 1 uncached runs, plan tried" in run(
        "generate", "--model", "micro-wan", "--prompt", "red circle", "--sf", "5", "--catalogue", str(catalogue),
        "-o", str(prompts.parent / "out.mp4"),
    )  # fmt: skip


def test_an_interrupted_choice_leaves_the_file_as_it_was_and_goes_on(
    catalogue: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = calibrate(catalogue, prompts, "--limit", "1", "--plans", "2")
    work, file = prompts.parent / "work", prompts.parent / "micro-wan.json"
    kept, before = sorted(work.glob("*.plan.json")), file.read_text()
    assert len(kept) > 2
    kept[0].unlink()
    touched = {path: path.stat().st_mtime_ns for path in kept[1:]}
    with monkeypatch.context() as pressed:
        pressed.setattr(plan_choice, "psnr", Mock(side_effect=KeyboardInterrupt))
        stopped = CliRunner().invoke(app, arguments(catalogue, prompts, "--limit", "1", "--plans", "2"))
    # Of which prompt the missing one is, its name does not say.
    said = r"1 of 1 generations and the plans of [01] of 2 prompts are finished and kept"
    assert stopped.exit_code == 130 and re.search(said, stopped.output)
    assert file.read_text() == before
    again, output = calibrate(catalogue, prompts, "--limit", "1", "--plans", "2")
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == touched and kept[0].exists()
    assert again.prior_shares == first.prior_shares and again.expected_snr == first.expected_snr
    assert "by the expected error again" not in output


def test_a_file_that_loses_its_plans_is_told(catalogue: Path, prompts: Path) -> None:
    calibrate(catalogue, prompts, "--limit", "1", "--plans", "1")
    measured, output = calibrate(catalogue, prompts, "--limit", "1")
    assert measured.prior_shares == {}
    assert "plans are by the expected error again: --plans chooses them by whole runs" in output


def test_every_plan_is_really_run_and_the_best_one_is_taken(
    catalogue: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, decisions = plan_choice.generate, []

    def generate(model: LoadedModel, request: GenerationRequest, **more: Any) -> Generation:
        made = real(model, request, **more)
        if request.full_steps == 6:
            added = made.report.account.added_steps if made.report.account else []
            full = [step for step, letter in enumerate(made.report.decisions) if letter == "F"]
            decisions.append(tuple(step for step in full if step not in added))
            made = replace(made, frames=np.full_like(made.frames, len(decisions)))
        return made

    monkeypatch.setattr(plan_choice, "generate", generate)
    monkeypatch.setattr(plan_choice, "psnr", lambda frames, _: float(frames.max()))
    measured, _ = calibrate(catalogue, prompts, "--limit", "1", "--plans", "1")
    plans = plan_choice.candidates(measured.covariance, 6)
    assert decisions == list(plans) and len(plans) > 1
    assert measured.prior_shares[6] == plans[decisions[-1]]


def test_a_run_that_went_astray_does_not_end_the_others(
    catalogue: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_choice, "psnr", Mock(side_effect=[NotFinite("frames"), *[30.0] * 99]))
    measured, output = calibrate(catalogue, prompts, "--limit", "1", "--plans", "1")
    assert measured.prior_shares and "0.0" in output


def test_an_uncached_run_that_went_astray_ends_the_choice(
    catalogue: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_choice, "generate", Mock(side_effect=NotFinite("frames")))
    with pytest.raises(NotFinite):
        calibrate(catalogue, prompts, "--limit", "1", "--plans", "1")
    assert not (prompts.parent / "micro-wan.json").exists()


def test_the_best_plan_has_the_best_mean_and_worst_prompt_together() -> None:
    shares, rows = {(0, 1): 0.0, (0, 2): 0.67, (0, 3): 1.0}, [[60.0, 20.0], [50.0, 40.0], [41.0, 41.0]]
    assert plan_choice.Tried(2, shares, dict(zip(shares, rows, strict=True))).best == 0.67


def test_where_all_plans_are_the_same_there_is_nothing_to_choose(catalogue: Path, prompts: Path) -> None:
    with pytest.raises(InvalidRequest, match="of 3 steps all plans are the same"):
        calibrate(catalogue, prompts, "--limit", "1", "--plans", "1", "--steps", "3")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--limit", "1", "--plans", "3"), "--plans 3: 1 prompts too few are left after those of --limit"),
        (("--plans", "1"), "--plans 1: 1 prompts too few"),
        (("--limit", "1", "--plans", "1", "--method", "paper"), "only a covariance has plans"),
        (("--limit", "1", "--plans", "1", "--colours-only"), "changes nothing else of the file"),
    ],
)
def test_plans_that_cannot_be_chosen_are_refused_before_anything_runs(
    catalogue: Path, prompts: Path, more: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        calibrate(catalogue, prompts, *more)
    assert not (prompts.parent / "work").exists()
