"""Coefficient files as they are found beside a model: of either method, of neither, and of another model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers import micro_wan_variants as variants
from tests.workers.micro_wan import BLOCKS, calibrated, micro_request
from workers.engine.coefficient_files import method_of, read_coefficients
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.errors import CoefficientsMismatch
from workers.models.catalogue import families
from workers.models.families.wan import Wan

COVARIANCE, PAPER = Path("alphas/flux-tiny.json"), Path("alphas/flux-tiny.paper.json")
READ = "1, of the method paper, or 2, of a covariance"


def changed(source: Path, **changes: Any) -> str:
    return json.dumps(json.loads(source.read_text()) | changes)


def test_files_of_both_methods_are_told_apart() -> None:
    assert [method_of(read_coefficients(path)) for path in (COVARIANCE, PAPER)] == ["covariance", "paper"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "it is no JSON: Expecting value"),
        ("null", "it is None, and must be a JSON object"),
        ("3", "it is 3, and must be a JSON object"),
        ('"text"', "it is 'text', and must be a JSON object"),
        ("[1, 2, 3, 4]", "it is [1, 2, 3, ...], and must be a JSON object"),
        ("[" * 100_000, "its JSON is nested too deeply"),
        ('{"schema": ' + "[" * 100_000, "its JSON is nested too deeply"),
        ('{"schema": ' + "9" * 5000 + "}", "it is no JSON: "),
        ("{}", f"schema is missing, and must be {READ}"),
        ('{"schema": 3}', f"schema 3 must be {READ}"),
        ('{"schema": null}', "schema None must be a whole number"),
        ('{"schema": true}', "schema True must be a whole number"),
        ('{"schema": [2]}', "schema [2] must be a whole number"),
        ('{"schema": 1}', "key is missing"),
        ('{"schema": 2}', "sigmas is missing"),
        (changed(COVARIANCE, schema=1), "schema 1, but with the kind of the other method's files; "),
        (changed(PAPER, schema=2), "schema 2, but with the key of the other method's files; "),
        (changed(COVARIANCE, runs=10**400), "runs 1000"),
        (changed(COVARIANCE, energy=10**400), "energy 1000"),
        (changed(PAPER, kappa=10**400), "kappa 1000"),
    ],
    ids=range(20),
)
def test_what_is_no_coefficient_file_is_told_in_one_line(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(CoefficientsMismatch) as error:
        read_coefficients(path)
    said = str(error.value)
    assert said.startswith(f"coefficient file {path}: {words}")
    assert "\n" not in said and len(said) < len(str(path)) + 250


def test_bytes_that_are_no_text_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CoefficientsMismatch, match=r"broken\.json: it is no JSON"):
        read_coefficients(tmp_path / "broken.json")


def test_a_folder_and_a_path_that_leads_nowhere_are_told_with_it(tmp_path: Path) -> None:
    with pytest.raises(CoefficientsMismatch, match=f"^coefficient file {tmp_path}: Is a directory$"):
        read_coefficients(tmp_path)
    with pytest.raises(CoefficientsMismatch, match=r"nowhere\.json: No such file or directory$"):
        read_coefficients(tmp_path / "nowhere.json")


@pytest.mark.parametrize("columns", [1, BLOCKS - 1, BLOCKS + 1])
def test_alpha_of_another_number_of_blocks_is_refused_when_the_model_is_loaded(
    micro: LoadedModel, tmp_path: Path, columns: int
) -> None:
    model, path = calibrated(micro, micro_request()), tmp_path / "micro.json"
    entry = model.entry.model_copy(update={"coefficients": (str(path),)})
    [measured] = model.coefficients
    measured.save(path)
    assert len(load_model(entry, Wan()).coefficients) == 1
    table = torch.full((measured.key.steps, columns), 0.9, dtype=torch.float64)
    replace(measured, alpha=table, spread=table).save(path)
    words = rf"{path} has alpha of {columns} blocks, but a transformer of micro-wan has {BLOCKS}; measure again with"
    with pytest.raises(CoefficientsMismatch, match=words):
        load_model(entry, Wan())


def test_alpha_is_held_against_the_blocks_of_each_expert(micro: LoadedModel, tmp_path: Path) -> None:
    variants.save_micro_experts(tmp_path / "experts")
    entry = variants.variant_entry(tmp_path / "experts", "wan", experts=True)
    model = load_model(entry, families()["wan"])
    [measured] = calibrated(micro, micro_request()).coefficients
    request = micro_request(model=entry.name, guidance_2=2.0)
    table = torch.full((request.steps, BLOCKS + 1), 0.9, dtype=torch.float64)
    key = plan_run(model, request).key
    replace(measured, key=key, alpha=table, spread=table).save(tmp_path / "experts.json")
    with pytest.raises(CoefficientsMismatch, match=rf"alpha of {BLOCKS + 1} blocks, but .* has {BLOCKS};"):
        load_model(entry.model_copy(update={"coefficients": (str(tmp_path / "experts.json"),)}), families()["wan"])
