"""The commands as a person runs them, on the micro checkpoint."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.__main__ import app
from workers.jobs.errors import InvalidRequest, ModelNotFound
from workers.loaded import load_model
from workers.models.catalogue import Catalogue
from workers.scalingcache.coefficients import Coefficients
from workers.video import read_mp4


@pytest.fixture
def catalogue(micro_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(f"""
[models.micro-wan]
family = "wan"
source = "{micro_folder}"
device = "cpu"
dtype = "float32"
coefficients = "coefficients/micro-wan.json"
[models.micro-wan.defaults]
width = 32
height = 32
frames = 5
fps = 8
steps = 12
sf = 4
guidance = 3.0
flow_shift = 1.0
max_sequence_length = 8
[models.micro-wan.limits]
max_width = 64
max_height = 64
max_frames = 9
max_steps = 50
""")
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def calibrate(catalogue: Path, folder: Path) -> Coefficients:
    prompts = folder / "prompts.txt"
    prompts.write_text("# two prompts\nred circle\n\ncircle\n")
    output = run(
        "calibrate", "--model", "micro-wan", "--prompts", str(prompts), "--seeds", "2",
        "--catalogue", str(catalogue), "--work", str(folder / "work"),
    )  # fmt: skip
    assert "expected of the rule" in output
    return Coefficients.load(folder / "coefficients" / "micro-wan.json")


def test_calibrate_measures_what_the_model_is_then_accelerated_with(catalogue: Path, tmp_path: Path) -> None:
    measured = calibrate(catalogue, tmp_path)
    assert (measured.prompts, measured.seeds, measured.key.steps, measured.alpha.shape) == (2, 2, 12, (12, 3))
    for figure in ("convergence", "heatmap", "profile"):
        assert (tmp_path / "coefficients" / f"micro-wan.{figure}.png").read_bytes().startswith(b"\x89PNG")

    known = Catalogue.read(catalogue)
    loaded = load_model(known.entry("micro-wan"), known.family("micro-wan"))
    assert loaded.coefficients is not None and loaded.coefficients.kappa == measured.kappa

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


def test_a_request_is_filled_with_the_models_defaults(catalogue: Path) -> None:
    known = Catalogue.read(catalogue)
    request = known.request("micro-wan", "red circle")
    assert (request.steps, request.sf, request.frames, request.guidance) == (12, 4, 5, 3.0)
    assert known.request("micro-wan", "x", steps=3).sf == 3
    assert known.request("micro-wan", "x", steps=1).sf == 2
    assert len({known.request("micro-wan", "x").seed for _ in range(4)}) > 1


def test_a_request_that_the_model_cannot_serve_is_refused_by_field(catalogue: Path) -> None:
    known = Catalogue.read(catalogue)
    for given, param, words in (
        ({"width": 40}, "size", "width 40 must be a multiple of 16"),
        ({"height": 128}, "size", "between 16 and 64"),
        ({"frames": 6}, "frames", "frames 6 must be 4k.1"),
        ({"frames": 13}, "frames", "at most 9"),
        ({"steps": 51}, "steps", "between 1 and 50"),
        ({"sf": 1}, "sf", "sf 1: .*greater than or equal to 2"),
    ):
        with pytest.raises(InvalidRequest, match=words) as error:
            known.request("micro-wan", "x", **given)
        assert error.value.param == param
    with pytest.raises(ModelNotFound, match="'wan' is not served here; allowed: micro-wan"):
        known.request("wan", "x")
