"""A model's version is another one wherever its results could be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.workers import micro_wan
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.version import version_of
from workers.models.catalogue import families


@pytest.fixture(scope="module")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    micro_wan.save_micro_wan(folder := tmp_path_factory.mktemp("wan"))
    return folder


@pytest.fixture
def model(micro: Path) -> LoadedModel:
    return load_model(micro_wan.micro_entry(micro), families()["wan"])


def again(model: LoadedModel, files: tuple[Path, ...] = (), **changes: object) -> str:
    entry = model.entry.model_copy(update=changes)
    return version_of(entry, model.pipeline, model.fingerprint, files)


def test_it_is_the_same_wherever_the_same_checkpoint_lies(model: LoadedModel) -> None:
    assert again(model) == model.version
    assert again(model, source="elsewhere", revision="f" * 40, name="renamed") == model.version


def _change_the_decoder(model: LoadedModel) -> None:
    with torch.no_grad():
        next(model.pipeline.vae.decoder.parameters()).add_(1.0)


def _change_the_text_encoder(model: LoadedModel) -> None:
    with torch.no_grad():
        next(model.pipeline.text_encoder.parameters()).add_(1.0)


def _change_the_scheduler(model: LoadedModel) -> None:
    model.pipeline.scheduler.register_to_config(flow_shift=9.0)


@pytest.mark.parametrize("change", [_change_the_decoder, _change_the_text_encoder, _change_the_scheduler])
def test_another_part_of_the_pipeline_is_another_version(
    model: LoadedModel, change: Callable[[LoadedModel], None]
) -> None:
    change(model)
    assert again(model) != model.version


def test_other_settings_libraries_coefficients_and_devices_are_other_versions(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "alphas.json").write_text(json.dumps({}))
    found = {model.version, again(model, vae_tiling=True), again(model, method="paper"), again(model, (file,))}
    file.write_text(json.dumps({"runs": 1}))
    found.add(again(model, (file,)))
    monkeypatch.setattr("workers.build.version", lambda package: f"{package} of tomorrow")
    found.add(again(model))
    monkeypatch.setattr("torch.get_num_threads", lambda: 99)
    assert len(found | {again(model)}) == 7
