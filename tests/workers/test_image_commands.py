"""The commands on a model that starts from an image, and on one with two experts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers import micro_wan_variants as variants
from tests.workers.test_commands import run
from workers.evaluation import Evaluation
from workers.jobs.errors import CoefficientsMismatch, InvalidRequest
from workers.scalingcache.coefficients import Coefficients
from workers.video import read_mp4

STEPS = 8
CATALOGUE = """
[models.micro]
family = "{family}"
source = "{folder}"
device = "cpu"
dtype = "float32"
coefficients = "micro.json"
evaluation = "micro.evaluation.json"
[models.micro.defaults]
width = 64
height = 64
frames = 5
fps = 8
steps = {steps}
sf = 4
guidance = 3.0
{more}
flow_shift = 1.0
max_sequence_length = 8
[models.micro.limits]
max_width = 64
max_height = 64
max_frames = 9
max_steps = 50
"""


@pytest.mark.parametrize(
    ("save", "family", "image", "more"),
    [
        (variants.save_micro_i2v, "wan-i2v", True, ""),
        (variants.save_micro_ti2v, "wan-ti2v", True, ""),
        (variants.save_micro_experts, "wan", False, "guidance_2 = 2.0"),
    ],
    ids=["i2v", "ti2v", "experts"],
)
def test_calibrate_evaluate_and_generate(
    tmp_path: Path, save: Callable[[Path], None], family: str, image: bool, more: str
) -> None:
    save(tmp_path / "checkpoint")
    variants.a_picture(100, 70).save(tmp_path / "frame.png")
    (tmp_path / "prompts.txt").write_text("red circle\tframe.png\n" if image else "red circle\n")
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(CATALOGUE.format(family=family, folder=tmp_path / "checkpoint", steps=STEPS, more=more))
    common = ["--model", "micro", "--catalogue", str(catalogue)]
    prompts = ["--prompts", str(tmp_path / "prompts.txt")]

    run("calibrate", *common, *prompts, "--seeds", "1", "--work", str(tmp_path / "calibration"))
    measured = Coefficients.load(tmp_path / "micro.json")
    assert (measured.key.input_reference, measured.alpha.shape) == (image, (STEPS, 3))
    assert ("boundary_ratio" in measured.key.scheduler) == bool(more)

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
    catalogue = tmp_path / "models.toml"
    checkpoint = tmp_path / "checkpoint"
    catalogue.write_text(CATALOGUE.format(family="wan-ti2v", folder=checkpoint, steps=STEPS, more=""))
    common = ["--model", "micro", "--catalogue", str(catalogue), "--prompts", str(prompts)]

    prompts.write_text("red circle\nred circle\tframe.png\n")
    with pytest.raises(InvalidRequest, match="all have an image, or none"):
        run("calibrate", *common, "--seeds", "1", "--work", str(tmp_path / "calibration"))

    prompts.write_text("red circle\n")
    run("calibrate", *common, "--seeds", "1", "--work", str(tmp_path / "calibration"))
    prompts.write_text("red circle\nred circle\tframe.png\n")
    with pytest.raises(CoefficientsMismatch, match="input_reference: measured on False"):
        run("evaluate", *common, "--sf", "2", "--work", str(tmp_path / "evaluation"))
    assert not (tmp_path / "evaluation").exists()
