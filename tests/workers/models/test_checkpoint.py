"""What a checkpoint must be: whole, in safetensors, without code of its own. And how a loaded one is warmed up."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from structlog.testing import capture_logs

from tests.workers.micro_wan import micro_entry
from workers.engine.loaded import load_model
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import ModelLoadFailed
from workers.models.catalogue import Catalogue, families
from workers.models.families.wan import Wan
from workers.process.runner import Runner

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def broken(micro_folder: Path, tmp_path: Path) -> Path:
    """A copy for the test to damage."""
    return Path(shutil.copytree(micro_folder, tmp_path / "broken"))


def test_a_folder_that_is_not_there_is_not_taken_for_a_hub_id(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"model micro-wan from .*/nowhere: there is no such folder"):
        load_model(micro_entry(tmp_path / "nowhere"), Wan())


def test_a_checkpoint_in_pickles_is_refused(broken: Path) -> None:
    torch.save(load_file(broken / WEIGHTS), broken / "transformer/diffusion_pytorch_model.bin")
    (broken / WEIGHTS).unlink()
    with pytest.raises(ModelLoadFailed, match=r"model micro-wan from .*broken: .*safetensors"):
        load_model(micro_entry(broken), Wan())


def test_a_checkpoint_that_is_cut_off_is_refused(broken: Path) -> None:
    content = (broken / WEIGHTS).read_bytes()
    (broken / WEIGHTS).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelLoadFailed, match=r"model micro-wan from .*broken: "):
        load_model(micro_entry(broken), Wan())


def test_code_in_a_checkpoint_is_not_run(broken: Path) -> None:
    index = json.loads((broken / "model_index.json").read_text())
    index["transformer"] = ["own_code", "Transformer"]
    (broken / "model_index.json").write_text(json.dumps(index))
    trace = broken / "trace"
    (broken / "transformer" / "own_code.py").write_text(f"open({str(trace)!r}, 'w')\nclass Transformer: ...\n")
    with pytest.raises(ModelLoadFailed, match=r"model micro-wan from .*broken: "):
        load_model(micro_entry(broken), Wan())
    assert not trace.exists()


def test_the_vae_may_have_a_type_of_its_own(micro_folder: Path) -> None:
    model = load_model(micro_entry(micro_folder, dtype="bfloat16", vae_dtype="float32"), Wan())
    assert (model.pipeline.transformer.dtype, model.pipeline.vae.dtype) == (torch.bfloat16, torch.float32)
    assert model.pipeline.text_encoder.dtype == torch.bfloat16


def runner(folder: Path, tmp_path: Path, **changes: object) -> Runner:
    entry = micro_entry(folder, **changes)
    return Runner(Catalogue({entry.name: entry}, families()), ArtifactStore(tmp_path))


def test_a_loaded_model_is_warmed_up_and_told_with_its_switches(micro_folder: Path, tmp_path: Path) -> None:
    with capture_logs() as lines:
        runner(micro_folder, tmp_path, warmup_steps=2, vae_tiling=True).load(["micro-wan"])
    [line] = [line for line in lines if line["event"] == "model loaded"]
    assert (line["switches"], line["coefficients"]) == ("float32 on cpu, VAE tiling", [])
    assert line["warm_step_seconds"] > 0
    with capture_logs() as lines:
        runner(micro_folder, tmp_path).load(["micro-wan"])
    assert lines[-1]["warm_step_seconds"] is None


def test_a_model_whose_default_request_is_impossible_is_not_ready(micro_folder: Path, tmp_path: Path) -> None:
    defaults = micro_entry(micro_folder).defaults.model_copy(update={"frames": 6})
    with pytest.raises(ModelLoadFailed, match="model micro-wan: its default request: frames 6 must be"):
        runner(micro_folder, tmp_path, warmup_steps=2, defaults=defaults).load(["micro-wan"])


def test_quantization_without_torchao_says_how_to_get_it(micro_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a machine without it, also where the developer has it.
    monkeypatch.setattr("workers.models.checkpoint.find_spec", lambda _name: None)
    with pytest.raises(ModelLoadFailed, match=r"quantization 'int8_dynamic' needs torchao: pip install"):
        load_model(micro_entry(micro_folder, dtype="bfloat16", quantization="int8_dynamic"), Wan())
