"""The commands on a model that starts from an image, and on one with two experts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.catalogues import catalogue_text
from tests.workers import micro_wan_variants as variants
from tests.workers.commands.command_line import run
from workers.engine.coefficient_files import read_coefficients
from workers.jobs.errors import CoefficientsMismatch, InvalidRequest
from workers.media.mp4 import read_mp4
from workers.models.entry import Method
from workers.models.evaluation import Evaluation
from workers.scalingcache.measured import MeasuredCovariance

STEPS = 8


def write_catalogue(
    folder: Path, family: str, *, experts: bool = False, coefficients: Any = "micro.json", method: Method = "paper"
) -> Path:
    """A catalogue of the checkpoint that lies in the folder, in files beside it what was measured."""
    entry = variants.variant_entry(
        folder / "checkpoint", family, experts=experts, defaults={"steps": STEPS}, coefficients=coefficients,
        evaluation="micro.evaluation.json", method=method,
    )  # fmt: skip
    (path := folder / "models.toml").write_text(catalogue_text(entry))
    return path


@pytest.mark.parametrize(
    ("save", "family", "image", "experts"),
    [
        (variants.save_micro_i2v, "wan-i2v", True, False),
        (variants.save_micro_ti2v, "wan-ti2v", True, False),
        (variants.save_micro_experts, "wan", False, True),
    ],
    ids=["i2v", "ti2v", "experts"],
)
@pytest.mark.parametrize("method", ["paper", "covariance"])
def test_calibrate_evaluate_and_generate(
    tmp_path: Path, save: Callable[[Path], None], family: str, image: bool, experts: bool, method: Method
) -> None:
    save(tmp_path / "checkpoint")
    variants.a_picture(100, 70).save(tmp_path / "frame.png")
    (tmp_path / "prompts.txt").write_text("red circle\tframe.png\n" if image else "red circle\n")
    catalogue = write_catalogue(tmp_path, family, experts=experts, method=method)
    common = ["--model", "micro", "--catalogue", str(catalogue)]
    prompts = ["--prompts", str(tmp_path / "prompts.txt")]

    run("calibrate", *common, *prompts, "--seeds", "1", "--work", str(tmp_path / "calibration"))
    measured = read_coefficients(tmp_path / "micro.json")
    if isinstance(measured, MeasuredCovariance):
        assert (method, measured.kind.input_reference, measured.steps) == ("covariance", image, STEPS)
    else:
        assert (method, measured.key.input_reference, measured.alpha.shape) == ("paper", image, (STEPS, 3))
        assert ("boundary_ratio" in measured.key.scheduler) == experts

    run("evaluate", *common, *prompts, "--sf", "2", "--work", str(tmp_path / "evaluation"))
    evaluation = Evaluation.model_validate_json((tmp_path / "micro.evaluation.json").read_text())
    assert [pair.sf for pair in evaluation.pairs] == [2]

    frame = ["--image", str(tmp_path / "frame.png")] if image else []
    video = tmp_path / "video.mp4"
    output = run("generate", *common, "--prompt", "red circle", "--sf", "2", "--seed", "3", *frame, "-o", str(video))
    assert read_mp4(video).shape == (5, 64, 64, 3)
    assert "other_settings" not in output


def test_prompts_with_and_without_an_image_are_not_measured_together(tmp_path: Path) -> None:
    variants.save_micro_ti2v(tmp_path / "checkpoint")
    variants.a_picture(100, 70).save(tmp_path / "frame.png")
    prompts = tmp_path / "prompts.txt"
    catalogue = write_catalogue(tmp_path, "wan-ti2v")
    common = ["--model", "micro", "--catalogue", str(catalogue), "--prompts", str(prompts)]

    prompts.write_text("red circle\nred circle\tframe.png\n")
    with pytest.raises(InvalidRequest, match="all have an image, or none"):
        run("calibrate", *common, "--seeds", "1", "--work", str(tmp_path / "calibration"))

    prompts.write_text("red circle\n")
    run("calibrate", *common, "--seeds", "1", "--work", str(tmp_path / "calibration"))
    evaluate = ["evaluate", *common, "--sf", "2", "--work", str(tmp_path / "evaluation")]
    prompts.write_text("red circle\nred circle\tframe.png\n")
    with pytest.raises(InvalidRequest, match="all have an image, or none"):
        run(*evaluate)
    prompts.write_text("red circle\tframe.png\n")
    with pytest.raises(CoefficientsMismatch, match="input_reference: measured on False"):
        run(*evaluate)
    assert not (tmp_path / "evaluation").exists()


def test_a_model_of_text_and_of_images_has_a_file_for_each_and_neither_replaces_the_other(tmp_path: Path) -> None:
    variants.save_micro_ti2v(tmp_path / "checkpoint")
    variants.a_picture(100, 70).save(tmp_path / "frame.png")
    (tmp_path / "text.txt").write_text("red circle\n")
    (tmp_path / "images.txt").write_text("red circle\tframe.png\n")
    catalogue = write_catalogue(tmp_path, "wan-ti2v", coefficients=("text.json", "images.json"))
    common = ["--model", "micro", "--catalogue", str(catalogue)]

    def calibrate(kind: str, *more: str) -> None:
        prompts = ["--prompts", str(tmp_path / f"{kind}.txt"), "--seeds", "1"]
        run("calibrate", *common, *prompts, "--work", str(tmp_path / "calibration"), *more)

    def evaluate(kind: str, *more: str) -> None:
        prompts = ["--prompts", str(tmp_path / f"{kind}.txt"), "--sf", "2"]
        run("evaluate", *common, *prompts, "--work", str(tmp_path / "evaluation"), *more)

    with pytest.raises(InvalidRequest, match="micro has several files, say which"):
        calibrate("text")
    for kind in ("text", "images"):
        calibrate(kind, "-o", str(tmp_path / f"{kind}.json"))
    evaluate("text")
    with pytest.raises(InvalidRequest, match="was measured without first frames; say where else"):
        evaluate("images")
    evaluate("images", "-o", str(tmp_path / "images.evaluation.json"))
    evaluations = {path.name: Evaluation.load(path) for path in tmp_path.glob("*.evaluation.json")}
    assert {name: each.input_reference for name, each in evaluations.items()} == {
        "micro.evaluation.json": False, "images.evaluation.json": True,
    }  # fmt: skip
    assert all(pair.reason is None for each in evaluations.values() for pair in each.pairs)
