"""The commands as a person runs them, on the micro checkpoint, with the paper's method."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.catalogues import catalogue_text
from tests.workers.commands.command_line import run
from tests.workers.micro_wan import micro_entry
from workers.__main__ import app
from workers.engine.loaded import load_model
from workers.jobs.errors import CoefficientsMismatch, InvalidRequest, ModelNotFound
from workers.media.mp4 import read_mp4
from workers.models.catalogue import Catalogue
from workers.models.evaluation import Evaluation
from workers.scalingcache.fields import read_table
from workers.scalingcache.paper.coefficients import Coefficients


def write_catalogue(path: Path, source: Path | str, **changes: Any) -> Path:
    """A catalogue of the micro checkpoint, in files beside it what was measured."""
    usual = {
        "method": "paper",
        "coefficients": ("coefficients/micro-wan.json",),
        "evaluation": "results/micro-wan.evaluation.json",
    }
    path.write_text(catalogue_text(micro_entry(Path(source), **(usual | changes))))
    return path


@pytest.fixture
def catalogue(micro_folder: Path, tmp_path: Path) -> Path:
    return write_catalogue(tmp_path / "models.toml", micro_folder)


@pytest.fixture
def uncalibrated(micro_folder: Path, tmp_path: Path) -> Path:
    return write_catalogue(tmp_path / "uncalibrated.toml", micro_folder, coefficients=())


def calibrate(catalogue: Path, folder: Path, *more: str) -> Coefficients:
    prompts = folder / "prompts.txt"
    prompts.write_text("# group: coloured\nred circle\n\n# group: plain\ncircle\n")
    output = run(
        "calibrate", "--model", "micro-wan", "--prompts", str(prompts), "--seeds", "2",
        "--catalogue", str(catalogue), "--work", str(folder / "work"), *more,
    )  # fmt: skip
    assert "expected of the rule" in output and "coloured" in output
    return Coefficients.parsed(read_table(folder / "coefficients" / "micro-wan.json"))


def test_calibrate_measures_what_the_model_is_then_accelerated_with(catalogue: Path, tmp_path: Path) -> None:
    measured = calibrate(catalogue, tmp_path)
    assert (measured.prompts, measured.seeds, measured.key.steps, measured.alpha.shape) == (2, 2, 12, (12, 3))
    assert set(measured.groups) == {"coloured", "plain"}
    for figure in ("convergence", "heatmap", "profile"):
        assert (tmp_path / "coefficients" / f"micro-wan.{figure}.png").read_bytes().startswith(b"\x89PNG")

    models = Catalogue.read(catalogue)
    loaded = load_model(models.entry("micro-wan"), models.family("micro-wan"))
    assert [each.kappa for each in loaded.coefficients] == [measured.kappa]

    video = tmp_path / "out.mp4"
    output = run("generate", "--model", "micro-wan", "--prompt", "red circle", "--sf", "4", "--seed", "5",
                 "-o", str(video), "--catalogue", str(catalogue))  # fmt: skip
    assert "FFFF" in output and "not accelerated" not in output
    assert read_mp4(video).shape == (5, 32, 32, 3)


def test_an_interrupted_calibration_goes_on_and_ends_the_same(catalogue: Path, tmp_path: Path) -> None:
    first = calibrate(catalogue, tmp_path)
    kept = sorted((tmp_path / "work").glob("*.npz"))
    assert len(kept) == 4
    kept[0].unlink()
    touched = {path: path.stat().st_mtime_ns for path in kept[1:]}
    again = calibrate(catalogue, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == touched
    assert again.alpha.equal(first.alpha) and again.kappa == first.kappa


def test_calibrate_and_generate_take_another_checkpoint_and_number_of_steps_for_an_entry(
    catalogue: Path, tmp_path: Path, micro_folder: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(micro_folder, moved)
    write_catalogue(catalogue, "nowhere")
    assert calibrate(catalogue, tmp_path, "--source", str(moved), "--steps", "10").key.steps == 10
    output = run("generate", "--model", "micro-wan", "--prompt", "circle", "--source", str(moved), "--sf", "4",
                 "-o", str(tmp_path / "out.mp4"), "--catalogue", str(catalogue))  # fmt: skip
    assert "resampled: measured with 10 steps" in output


def test_generate_takes_many_prompts_and_lays_several_sf_side_by_side(uncalibrated: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("red circle\ncircle\n")
    output = run("generate", "--model", "micro-wan", "--prompts", str(prompts), "--sf", "3", "--sf", "12",
                 "--allow-uncalibrated", "-o", str(tmp_path / "out"), "--catalogue",
                 str(uncalibrated))  # fmt: skip
    assert output.count("uncalibrated: alpha is 1 throughout") == 2
    names = [f"{n:03d}-sf{sf}.mp4" for n in (0, 1) for sf in (12, 3)] + ["000-side-by-side.png", "001-side-by-side.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    seeds = {line for line in output.splitlines() if "sf, seed" in line}
    assert len(seeds) == 4
    with Image.open(tmp_path / "out" / "000-side-by-side.png") as sheet:
        height = read_mp4(tmp_path / "out" / "000-sf12.mp4").shape[1]
        assert sheet.height == 3 * 2 * height + 4 * 26 + 5 * 8, "two videos and how they differ, at twice their size"


def test_generate_wants_one_prompt_or_a_file_of_them(catalogue: Path, tmp_path: Path) -> None:
    for options in ([], ["--prompt", "circle", "--prompts", str(catalogue)]):
        arguments = ["generate", "--model", "micro-wan", "-o", "x.mp4", "--catalogue", str(catalogue), *options]
        with pytest.raises(InvalidRequest, match="either --prompt or --prompts"):
            CliRunner().invoke(app, arguments, catch_exceptions=False)


def evaluate(catalogue: Path, folder: Path, *more: str) -> Evaluation:
    prompts = folder / "prompts.csv"
    prompts.write_text("Prompts,Category\nred circle,Colors\ncircle,Shapes\nred,Colors\n")
    output = run(
        "evaluate", "--model", "micro-wan", "--prompts", str(prompts), "--limit", "2", "--sf", "4", "--sf", "3",
        "--catalogue", str(catalogue), "--work", str(folder / "evaluated"), *more,
    )  # fmt: skip
    assert "95 %" in output
    return Evaluation.load(folder / "results" / "micro-wan.evaluation.json")


def test_evaluate_pairs_each_sf_with_an_uncached_run_and_the_catalogue_tells_the_result(
    catalogue: Path, tmp_path: Path
) -> None:
    assert Catalogue.read(catalogue).evaluation("micro-wan") is None
    calibrate(catalogue, tmp_path)
    evaluation = evaluate(catalogue, tmp_path)
    assert [(pair.prompt, pair.group, pair.seed, pair.sf) for pair in evaluation.pairs] == [
        ("red circle", "Colors", 0, 3), ("red circle", "Colors", 0, 4),
        ("circle", "Shapes", 1, 3), ("circle", "Shapes", 1, 4),
    ]  # fmt: skip
    assert [row.sf for row in evaluation.rows] == [3, 4]
    assert all("P" in pair.decisions and 10 < pair.psnr < 100 and pair.ssim < 1 for pair in evaluation.pairs)
    for figure in ("curve", "sheet"):
        assert (tmp_path / "results" / f"micro-wan.evaluation.{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert Catalogue.read(catalogue).evaluation("micro-wan") == evaluation


def test_an_interrupted_evaluation_goes_on_and_other_coefficients_or_switches_start_it_anew(
    catalogue: Path, tmp_path: Path, micro_folder: Path
) -> None:
    calibrate(catalogue, tmp_path)
    first = evaluate(catalogue, tmp_path)
    kept = sorted((tmp_path / "evaluated").glob("*.json"))
    assert len(kept) == 2
    kept[0].unlink()
    again = evaluate(catalogue, tmp_path)
    assert sum(a.speedup == b.speedup for a, b in zip(first.pairs, again.pairs, strict=True)) == 2
    assert [p.psnr for p in again.pairs] == [p.psnr for p in first.pairs]
    path = tmp_path / "coefficients" / "micro-wan.json"
    other = Coefficients.parsed(read_table(path))
    replace(other, kappa=other.kappa * 3).save(path)
    evaluate(catalogue, tmp_path)
    assert len(list((tmp_path / "evaluated").glob("*.json"))) == 4
    write_catalogue(catalogue, micro_folder, dtype="bfloat16")
    evaluate(catalogue, tmp_path)  # The weights keep their fingerprint in another type, the results do not.
    assert len(list((tmp_path / "evaluated").glob("*.json"))) == 6


def test_an_evaluation_that_could_accelerate_nothing_ends_before_it_begins(uncalibrated: Path, tmp_path: Path) -> None:
    for sf, error, words in (
        ("4", CoefficientsMismatch, "sf=4 cannot be evaluated: not_calibrated"),
        ("12", InvalidRequest, "below the number of steps, 12"),
    ):
        with pytest.raises(error, match=words):
            run("evaluate", "--model", "micro-wan", "--prompts", str(uncalibrated), "--sf", sf,
                "--catalogue", str(uncalibrated), "--work", str(tmp_path / "evaluated"))  # fmt: skip
    assert not (tmp_path / "evaluated").exists()


def test_a_request_is_filled_with_the_models_defaults(catalogue: Path) -> None:
    models = Catalogue.read(catalogue)
    request = models.request("micro-wan", "red circle")
    assert (request.steps, request.sf, request.frames, request.guidance) == (12, 4, 5, 3.0)
    assert models.request("micro-wan", "x", steps=3).sf == 3
    assert models.request("micro-wan", "x", steps=1).sf == 2
    assert len({models.request("micro-wan", "x").seed for _ in range(4)}) > 1


def test_a_request_that_the_model_cannot_serve_is_refused_by_field(catalogue: Path) -> None:
    models = Catalogue.read(catalogue)
    for settings, param, words in (
        ({"width": 40}, "size", "width 40 must be a multiple of 16"),
        ({"height": 128}, "size", "between 16 and 64"),
        ({"frames": 6}, "frames", "frames 6 must be 4k.1"),
        ({"frames": 13}, "frames", "at most 9"),
        ({"steps": 51}, "steps", "between 1 and 50"),
        ({"sf": 1}, "sf", "sf 1: .*greater than or equal to 2"),
    ):
        with pytest.raises(InvalidRequest, match=words) as error:
            models.request("micro-wan", "x", **settings)
        assert error.value.param == param
    with pytest.raises(ModelNotFound, match="'wan' is not served here; allowed: micro-wan"):
        models.request("wan", "x")
