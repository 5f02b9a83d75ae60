"""Weights are told apart by their files alone, before anything is read that takes long."""

from pathlib import Path

import pytest
import torch

from tests.workers.engine.variants import Variant
from workers.engine.fingerprint import fingerprint_of_files
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.errors import CoefficientsMismatch
from workers.models.catalogue import families
from workers.models.family import Family
from workers.models.identification import check_whole
from workers.models.parts import Checkpoint
from workers.scalingcache.paper.coefficients import CoefficientKey, Coefficients


def of_files(folder: Path, variant: str | None = None) -> str | None:
    checkpoint = Checkpoint.read(folder)
    names = [name for name in ("transformer", "transformer_2") if name in checkpoint.parts]
    weights = check_whole(checkpoint, variant).weights
    return fingerprint_of_files([(checkpoint.parts[name], weights[name].files) for name in names])


def test_files_have_the_fingerprint_of_the_weights_that_are_loaded_from_them(model: LoadedModel, folder: Path) -> None:
    assert of_files(folder) == model.fingerprint


def test_files_in_parts_and_of_a_variant_have_that_of_weights_loaded_in_another_type(
    variant: Variant, model: LoadedModel, tmp_path: Path
) -> None:
    model.pipeline.save_pretrained(tmp_path, max_shard_size="20KB", variant="fp16")
    entry = variant.entry(tmp_path).model_copy(update={"dtype": "bfloat16", "variant": "fp16"})
    assert len(list((tmp_path / "transformer").glob("*.safetensors"))) > 1
    assert of_files(tmp_path, "fp16") == load_model(entry, families()[entry.family]).fingerprint


def test_a_file_of_other_weights_is_refused_before_any_are_loaded(
    variant: Variant, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        pytest.fail("weights were loaded")

    entry, path = variant.entry(folder), tmp_path / "other.json"
    key = CoefficientKey(model=entry.name, fingerprint="f" * 32, scheduler={}, steps=24, size_class=14, guidance=False)
    Coefficients(
        key=key, alpha=torch.ones(24, 2, dtype=torch.float64), spread=torch.zeros(24, 2, dtype=torch.float64),
        kappa=5.0, max_skip=2, final_full_steps=1, estimator="pooled", prompts=1, seeds=1, convergence=[],
        expected_full_steps={}, expected_full_steps_kappa_1={}, relative_change=[], prediction_error=[],
    ).save(path)  # fmt: skip
    family: Family = families()[entry.family]
    monkeypatch.setattr(type(family), "load", load)
    with pytest.raises(CoefficientsMismatch, match=r"measured on weights ffff"):
        load_model(entry.model_copy(update={"coefficients": (str(path),)}), family)
