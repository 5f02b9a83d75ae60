"""The commands as a person runs them, on the micro checkpoint, with the covariance method."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.catalogues import catalogue_text
from tests.workers.commands.command_line import run
from tests.workers.micro_wan import micro_entry
from workers.engine.coefficient_files import read_coefficients
from workers.engine.latent_colours import LatentColours
from workers.engine.learning import readable
from workers.engine.loaded import load_model
from workers.jobs.connection import Connection
from workers.jobs.errors import CoefficientsMismatch, GenerationFailed, InvalidRequest, QueueUnavailable
from workers.jobs.observations import Observations
from workers.media.mp4 import read_mp4
from workers.models.catalogue import Catalogue
from workers.models.evaluation import Evaluation
from workers.scalingcache.fields import read_table
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.paper.coefficients import Coefficients


def write_catalogue(path: Path, source: Path | str, **changes: Any) -> Path:
    """A catalogue of the micro checkpoint, in files beside it what was measured."""
    usual = {"coefficients": ("measured/micro-wan.json",), "evaluation": "results/micro-wan.evaluation.json"}
    path.write_text(catalogue_text(micro_entry(Path(source), **(usual | changes))))
    return path


@pytest.fixture
def catalogue(micro_folder: Path, tmp_path: Path) -> Path:
    return write_catalogue(tmp_path / "models.toml", micro_folder)


@pytest.fixture
def unmeasured(micro_folder: Path, tmp_path: Path) -> Path:
    return write_catalogue(tmp_path / "unmeasured.toml", micro_folder, coefficients=())


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.txt"
    path.write_text("red circle\ncircle\nred\n")
    return path


def calibrate(catalogue: Path, prompts: Path, *more: str) -> tuple[MeasuredCovariance, str]:
    output = run(
        "calibrate", "--model", "micro-wan", "--prompts", str(prompts), "--catalogue", str(catalogue),
        "--work", str(prompts.parent / "work"), *more,
    )  # fmt: skip
    measured = read_coefficients(prompts.parent / "measured" / "micro-wan.json")
    assert isinstance(measured, MeasuredCovariance)
    return measured, output


def test_a_damaged_file_of_an_interrupted_run_is_named(catalogue: Path, prompts: Path) -> None:
    calibrate(catalogue, prompts)
    damaged = next((prompts.parent / "work").glob("*.npz"))
    for content in (b"garbage", damaged.read_bytes()[:100], b""):
        damaged.write_bytes(content)
        with pytest.raises(InvalidRequest, match=f"--work: {damaged} is damaged; delete it"):
            calibrate(catalogue, prompts)


def generate(catalogue: Path, folder: Path, *more: str) -> str:
    video = folder / "out.mp4"
    output = run("generate", "--model", "micro-wan", "--prompt", "red circle", "--sf", "4", "--seed", "5",
                 "-o", str(video), "--catalogue", str(catalogue), *more)  # fmt: skip
    assert read_mp4(video).shape == (5, 32, 32, 3)
    return output


def test_one_uncached_generation_is_enough_to_calibrate(catalogue: Path, prompts: Path) -> None:
    measured, output = calibrate(catalogue, prompts, "--limit", "1")
    assert (measured.covariance.runs, measured.steps, measured.held_out) == (1, 12, {})
    assert "expected SNR" in output and "what more runs bring" not in output
    assert "From one run; measure a second" in output
    assert measured.expected_snr and all(a < b for a, b in zip(*_neighbours(measured), strict=True))
    for figure in ("covariance", "schedules"):
        path = prompts.parent / "measured" / f"micro-wan.{figure}.png"
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "measured, 1 uncached runs" in generate(catalogue, prompts.parent)


def _neighbours(measured: MeasuredCovariance) -> tuple[list[float], list[float]]:
    decibels = list(measured.expected_snr.values())
    return decibels[:-1], decibels[1:]


def test_several_generations_show_what_more_of_them_bring(catalogue: Path, prompts: Path) -> None:
    measured, output = calibrate(catalogue, prompts, "--seeds", "2")
    assert measured.covariance.runs == 6
    assert list(measured.held_out) == [1, 2, 4, 5]
    assert "what more runs bring" in output and "From one run" not in output


def test_an_interrupted_calibration_goes_on_and_ends_the_same(catalogue: Path, prompts: Path) -> None:
    first, _ = calibrate(catalogue, prompts)
    kept = sorted((prompts.parent / "work").glob("*.npz"))
    assert len(kept) == 3
    kept[0].unlink()
    touched = {path: path.stat().st_mtime_ns for path in kept[1:]}
    again, _ = calibrate(catalogue, prompts)
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == touched
    assert again.covariance.matrix == pytest.approx(first.covariance.matrix)
    assert first.colours is not None and again.colours == pytest.approx(first.colours, abs=1e-4)


def test_runs_with_another_vae_under_the_same_transformer_are_not_taken_up(
    catalogue: Path, prompts: Path, micro_folder: Path, tmp_path: Path
) -> None:
    calibrate(catalogue, prompts, "--limit", "1")
    other = tmp_path / "other"
    shutil.copytree(micro_folder, other)
    [weights] = (other / "vae").glob("*.safetensors")
    save_file({name: 2 * tensor for name, tensor in load_file(weights).items()}, weights)
    calibrate(catalogue, prompts, "--limit", "1", "--source", str(other))
    assert len(list((prompts.parent / "work").glob("*.npz"))) == 2


def test_colours_are_added_to_a_file_without_them_and_nothing_else_of_it_changes(
    catalogue: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(LatentColours, "learn", None)
        measured, output = calibrate(catalogue, prompts, "--limit", "1")
        assert measured.colours is None and "without colours of previews" in output
        path = prompts.parent / "measured" / "micro-wan.json"
        before = path.read_text()
        with pytest.raises(GenerationFailed, match="no run has shown how latents are coloured"):
            calibrate(catalogue, prompts, "--limit", "1", "--steps", "3", "--colours-only")
        assert path.read_text() == before
    added, output = calibrate(catalogue, prompts, "--limit", "1", "--steps", "3", "--colours-only")
    assert f"wrote {path}" in output
    assert added.colours is not None and added.colours.shape == (5, 3)
    assert replace(added, colours=None).text() == before
    replace(measured, colours=np.zeros((17, 3))).save(path)
    models = Catalogue.read(catalogue)
    with pytest.raises(CoefficientsMismatch, match=rf"{path} has colours of 16 latent channels, but micro-wan has 4"):
        load_model(models.entry("micro-wan"), models.family("micro-wan"))


def test_without_any_file_a_generation_is_accelerated_and_says_on_what(unmeasured: Path, tmp_path: Path) -> None:
    output = generate(unmeasured, tmp_path)
    assert "0 uncached runs" in output and "not accelerated" not in output


def test_a_covariance_of_other_weights_is_refused_with_the_command_that_measures_again(
    catalogue: Path, prompts: Path
) -> None:
    measured, _ = calibrate(catalogue, prompts, "--limit", "1")
    path = prompts.parent / "measured" / "micro-wan.json"
    path.write_text(path.read_text().replace(measured.kind.fingerprint, "f" * 32))
    models = Catalogue.read(catalogue)
    with pytest.raises(CoefficientsMismatch, match=r"measured on weights ffff.*calibrate --model micro-wan"):
        load_model(models.entry("micro-wan"), models.family("micro-wan"))
    with pytest.raises(CoefficientsMismatch, match=r"measured on weights ffff.*measure all of it again"):
        calibrate(catalogue, prompts, "--limit", "1", "--colours-only")


def test_measuring_for_the_other_method_never_replaces_what_the_model_is_served_with(
    catalogue: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, _ = calibrate(catalogue, prompts, "--limit", "1")
    monkeypatch.chdir(prompts.parent)
    again, _ = calibrate(catalogue, prompts, "--method", "paper")
    assert again.covariance.runs == measured.covariance.runs == 1
    assert Coefficients.parsed(read_table(prompts.parent / "alphas" / "micro-wan.paper.json")).prompts == 3


def evaluate(catalogue: Path, prompts: Path, *more: str) -> Evaluation:
    output = run(
        "evaluate", "--model", "micro-wan", "--prompts", str(prompts), "--limit", "2", "--sf", "4", "--sf", "3",
        "--catalogue", str(catalogue), "--work", str(prompts.parent / "evaluated"), *more,
    )  # fmt: skip
    assert "95 %" in output
    return Evaluation.load(prompts.parent / "results" / "micro-wan.evaluation.json")


def test_evaluate_pairs_each_sf_with_an_uncached_run_also_of_a_model_without_any_file(
    unmeasured: Path, prompts: Path
) -> None:
    evaluation = evaluate(unmeasured, prompts)
    assert [(pair.prompt, pair.seed, pair.sf) for pair in evaluation.pairs] == [
        ("red circle", 0, 3), ("red circle", 0, 4), ("circle", 1, 3), ("circle", 1, 4),
    ]  # fmt: skip
    assert [row.full_steps for row in evaluation.rows] == [5, 7]
    assert all("P" in pair.decisions and 10 < pair.psnr < 100 and pair.ssim < 1 for pair in evaluation.pairs)
    assert Catalogue.read(unmeasured).evaluation("micro-wan") == evaluation


def test_an_interrupted_evaluation_goes_on_and_another_covariance_or_method_starts_it_anew(
    catalogue: Path, prompts: Path
) -> None:
    calibrate(catalogue, prompts, "--limit", "1")
    evaluate(catalogue, prompts)
    evaluate(catalogue, prompts)
    assert len(list((prompts.parent / "evaluated").glob("*.json"))) == 2
    calibrate(catalogue, prompts, "--seeds", "2")
    evaluate(catalogue, prompts)
    assert len(list((prompts.parent / "evaluated").glob("*.json"))) == 4


def test_what_an_evaluation_s_uncached_runs_show_is_for_the_workers_where_that_is_asked_for(
    unmeasured: Path, prompts: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = "evaluate", "--model", "micro-wan", "--prompts", str(prompts), "--sf", "6", "--steps", "20"
    arguments = *command, "--catalogue", str(unmeasured), "--work", str(prompts.parent / "evaluated")
    models = Catalogue.read(unmeasured)
    loaded = load_model(models.entry("micro-wan"), models.family("micro-wan"))
    observations = Observations(Connection(redis_url))
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", redis_url)
    first = run(*arguments)
    assert "for the workers" not in first and observations.since("micro-wan", loaded.fingerprint, ()) == []
    assert "uncached runs, for the workers: " in run(*arguments, "--teach")
    texts = observations.since("micro-wan", loaded.fingerprint, ())
    assert texts is not None and len(texts) == 3 and len(readable("micro-wan", [*texts, "{}"])) == 3
    request = models.request("micro-wan", "red circle", seed=0, steps=20)
    assert observations.knows("micro-wan", loaded.fingerprint, request)
    assert "uncached runs, for the workers: 3 known" in run(*arguments, "--teach")


def test_without_the_workers_redis_nothing_is_evaluated_for_them(
    unmeasured: Path, prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        evaluate(unmeasured, prompts, "--teach", "--steps", "20")
    assert not (prompts.parent / "evaluated").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--source", "elsewhere"], "as its workers have it, without --source"),
        (["--method", "covariance"], "as its workers have it, without --method"),
        (["--steps", "19"], "20 steps or more, not 19"),
        ([], "20 steps or more, not 12"),
    ],
)
def test_workers_are_not_taught_by_other_weights_or_files_than_they_have_or_by_too_few_steps(
    unmeasured: Path, prompts: Path, options: list[str], why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why):
        evaluate(unmeasured, prompts, "--teach", *options)


def test_workers_by_the_paper_s_method_are_not_taught(micro_folder: Path, prompts: Path, tmp_path: Path) -> None:
    paper = write_catalogue(tmp_path / "paper.toml", micro_folder, coefficients=(), method="paper")
    with pytest.raises(InvalidRequest, match="has the method paper, which learns nothing"):
        evaluate(paper, prompts, "--teach", "--steps", "20")


def test_an_sf_that_gains_next_to_nothing_cannot_be_evaluated(unmeasured: Path, prompts: Path) -> None:
    with pytest.raises(CoefficientsMismatch, match="sf=11 cannot be evaluated: little_gain"):
        run("evaluate", "--model", "micro-wan", "--prompts", str(prompts), "--sf", "11",
            "--catalogue", str(unmeasured), "--work", str(prompts.parent / "evaluated"))  # fmt: skip
    assert not (prompts.parent / "evaluated").exists()
