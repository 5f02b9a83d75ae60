"""`python -m workers check` as a person and as a script read it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.catalogues import catalogue_text
from tests.workers.commands.command_line import run
from tests.workers.micro_wan import BLOCKS, STEPS, micro_entry
from workers.__main__ import app
from workers.jobs.errors import ModelLoadFailed
from workers.models.hub.errors import HubError
from workers.models.source import whole_folder

ROOT = Path(__file__).parents[3]


def written(folder: Path, source: Path, **changes: Any) -> Path:
    path = folder / "models.toml"
    path.write_text(catalogue_text(micro_entry(source, **changes)))
    return path


def checked(catalogue: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["check", "micro-wan", "--json", "--catalogue", str(catalogue), *options])


def test_the_small_files_say_what_a_model_is_and_nothing_is_loaded(micro_folder: Path, tmp_path: Path) -> None:
    catalogue = written(tmp_path, micro_folder, dtype="bfloat16", vae_dtype="float32")
    result = checked(catalogue, "--meta")
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["ok"], shown["problems"], shown["loaded"]) == (0, True, [], None)
    assert (shown["family"], shown["blocks"], shown["streams"]) == ("wan", BLOCKS, 2)
    assert shown["scheduler"]["class"] == "UniPCMultistepScheduler" and shown["scheduler"]["flow_shift"] == 1.0
    parts = {part["name"]: part for part in shown["parts"]}
    assert parts["tokenizer"]["tokens"] == 5
    transformer, vae = parts["transformer"], parts["vae"]
    assert (transformer["dtype"], vae["dtype"]) == ("bfloat16", "float32")
    assert list(transformer["stored"]) == ["F32"]
    assert transformer["memory_bytes"] == 2 * transformer["parameters"]
    assert vae["memory_bytes"] == 4 * vae["parameters"]


def test_a_quantized_transformer_takes_a_byte_a_parameter(micro_folder: Path, tmp_path: Path) -> None:
    catalogue = written(tmp_path, micro_folder, dtype="bfloat16", quantization="int8_weight_only")
    parts = {part["name"]: part for part in json.loads(checked(catalogue, "--meta").stdout)["parts"]}
    assert parts["transformer"]["memory_bytes"] == parts["transformer"]["parameters"]
    assert parts["text_encoder"]["memory_bytes"] == 2 * parts["text_encoder"]["parameters"]


def test_a_loaded_model_tells_its_steps_and_their_time(micro_folder: Path, tmp_path: Path) -> None:
    result = checked(written(tmp_path, micro_folder))
    loaded = json.loads(result.stdout)["loaded"]
    assert result.exit_code == 0
    assert (loaded["blocks"], loaded["segments"], len(loaded["noise_levels"])) == (BLOCKS, [STEPS], STEPS)
    assert loaded["step_seconds"] > 0 and len(loaded["fingerprint"]) == 32


def test_what_acceleration_rests_on_is_shown_also_where_it_is_not_written_yet(tmp_path: Path) -> None:
    output = run("check", "wan-tiny", "--meta", "--catalogue", str(ROOT / "models.toml"))
    assert "wan-tiny.json" in output and "18" in output and "wan-tiny can be served" in output
    source = ROOT / "demo/checkpoints/wan-tiny"
    result = checked(written(tmp_path, source, coefficients=(str(tmp_path / "later.json"),)), "--meta")
    [file] = json.loads(result.stdout)["coefficients"]
    assert (result.exit_code, file["measured"]) == (0, None)
    assert file["problem"] == "not written yet: python -m workers calibrate"


def test_a_damaged_coefficients_file_and_an_impossible_default_request_end_with_1(
    micro_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "half.json").write_text('{"schema": 2')
    result = checked(written(tmp_path, micro_folder, coefficients=(str(tmp_path / "half.json"),)), "--meta")
    assert result.exit_code == 1 and "half.json: it is no JSON" in json.loads(result.stdout)["problems"][0]
    defaults = micro_entry(micro_folder).defaults.model_copy(update={"frames": 6})
    result = CliRunner().invoke(
        app, ["check", "micro-wan", "--catalogue", str(written(tmp_path, micro_folder, defaults=defaults))]
    )
    assert result.exit_code in (1, 2) and "frames 6 must be 4k+1" in f"{result.output}{result.stderr}{result.exception}"


def shipped(path: str, folder: Path, **changes: Any) -> str:
    """A file of wan-tiny, changed; its path."""
    written = folder / "changed.json"
    written.write_text(json.dumps(json.loads((ROOT / path).read_text()) | changes))
    return str(written)


def checked_wan_tiny(folder: Path, file: str, **changes: Any) -> Result:
    entry = micro_entry(ROOT / "demo/checkpoints/wan-tiny", coefficients=(file,), **changes)
    (folder / "models.toml").write_text(catalogue_text(entry.model_copy(update={"name": "wan-tiny"})))
    options = ["--meta", "--json", "--catalogue", str(folder / "models.toml")]
    return CliRunner().invoke(app, ["check", "wan-tiny", *options])


@pytest.mark.parametrize(
    ("path", "changes", "words"),
    [
        ("alphas/wan-tiny.json", {"matrix": [[float("nan")]]}, "matrix has 1 rows, and must have 50"),
        ("alphas/wan-tiny.json", {"energy": float("nan")}, "energy nan must be a number"),
        ("alphas/wan-tiny.json", {"schema": 1}, "schema 1, but with the kind of the other method's files"),
        ("alphas/wan-tiny.json", {"schema": 3}, "schema 3 must be 1"),
        ("alphas/wan-tiny.json", {"colours": [[0.0, 0.0, 0.0]] * 3}, "has colours of 2 latent channels"),
        ("alphas/flux-tiny.json", {}, "was measured on model flux-tiny, but wan-tiny has wan-tiny"),
        ("alphas/wan-tiny.paper.json", {"kappa": 0}, "kappa 0 must be a finite number above 0"),
        ("alphas/wan-tiny.paper.json", {"alpha": [[0.9]] * 50, "spread": [[0.0]] * 50}, "has alpha of 1 blocks, but"),
    ],
)
def test_a_file_that_loading_refuses_is_refused_by_the_small_files_too(
    tmp_path: Path, path: str, changes: dict[str, Any], words: str
) -> None:
    result = checked_wan_tiny(tmp_path, shipped(path, tmp_path, **changes))
    [problem] = json.loads(result.stdout)["problems"]
    assert result.exit_code == 1 and problem.startswith(f"coefficient file {tmp_path / 'changed.json'}")
    assert words in problem


def test_a_file_that_cannot_be_walked_and_a_folder_are_problems(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for file, words in ((tmp_path / "deep.json", "nested too deeply"), (tmp_path, "Is a directory")):
        result = checked_wan_tiny(tmp_path, str(file))
        assert result.exit_code == 1 and words in json.loads(result.stdout)["problems"][0]


@pytest.mark.parametrize(("path", "other"), [("wan-tiny.json", "paper"), ("wan-tiny.paper.json", "covariance")])
def test_a_file_of_the_other_method_is_told_and_keeps_nothing_from_being_served(
    tmp_path: Path, path: str, other: str
) -> None:
    file = str(ROOT / "alphas" / path)
    result = checked_wan_tiny(tmp_path, file, method=other)
    [shown] = json.loads(result.stdout)["coefficients"]
    assert (result.exit_code, shown["problem"]) == (0, None)
    assert shown["unused"].endswith(f"the entry's is {other}")
    output = run("check", "wan-tiny", "--meta", "--catalogue", str(tmp_path / "models.toml"))
    assert "not used: it is of method" in output
    own = json.loads(checked_wan_tiny(tmp_path, file, method=shown["measured"]["method"]).stdout)
    assert own["coefficients"][0]["unused"] is None


def test_a_checkpoint_that_is_not_whole_ends_with_1_and_the_file(micro_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(micro_folder, tmp_path / "broken"))
    shutil.rmtree(broken / "tokenizer")
    result = checked(written(tmp_path, broken), "--meta")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["ok"], told["code"]) == (False, "model_load_failed")
    assert "the folder tokenizer is missing" in told["problems"][0]
    with pytest.raises(ModelLoadFailed, match="the folder tokenizer is missing"):
        run("check", "micro-wan", "--meta", "--catalogue", str(tmp_path / "models.toml"))


@pytest.mark.parametrize(
    ("source", "code", "problem"),
    [
        ("./moved", "model_load_failed", "./moved: there is no such folder"),
        ("models/moved/away", "model_load_failed", "models/moved/away: there is no such folder"),
        ("some one/model", "hub_error", "source 'some one/model' is no folder, and no hub id either"),
    ],
)
def test_a_source_that_is_neither_a_folder_nor_a_hub_id_is_told(
    tmp_path: Path, source: str, code: str, problem: str
) -> None:
    (tmp_path / "models.toml").write_text(catalogue_text(micro_entry(Path()).model_copy(update={"source": source})))
    result = checked(tmp_path / "models.toml", "--meta")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["code"]) == (1, code)
    assert told["problems"][0].startswith(problem)


def test_also_the_whole_checkpoint_is_asked_for_in_words() -> None:
    with pytest.raises(HubError, match="is no folder, and no hub id either"):
        whole_folder(micro_entry(Path()).model_copy(update={"source": "some one/model"}))
