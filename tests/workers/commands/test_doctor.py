"""`doctor` on this machine, with a real Redis and a real folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from demo.embedded_redis import EmbeddedRedis
from tests.catalogues import catalogue_text
from tests.workers.micro_wan import micro_entry
from workers.__main__ import app
from workers.commands.doctor import diagnose
from workers.diagnosis import machine
from workers.models.entry import ModelEntry
from workers.process.settings import Settings


def write_catalogue(folder: Path, *entries: ModelEntry) -> None:
    (folder / "models.toml").write_text(catalogue_text(*entries))


@pytest.fixture
def folder(micro_folder: Path, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run the command in, in which all is well."""
    write_catalogue(tmp_path, micro_entry(micro_folder))
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", redis_url)
    monkeypatch.setenv("SCALINGCACHE_ARTIFACTS", "results")
    return tmp_path


def found(name: str) -> machine.Finding:
    [finding] = [each for each in diagnose(Settings()).findings if each.name == name]
    return finding


def test_where_all_is_well_it_says_how_fast_things_are_and_exits_with_0(folder: Path) -> None:
    result = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 0
    for words in (
        "results: ",
        "MB/s written to disk",
        "a call takes",
        "model micro-wan: needs about",
        "ready to serve",
    ):
        assert words in result.output
    assert list((folder / "results").iterdir()) == []


def test_as_json_it_is_for_programs(folder: Path, micro_folder: Path) -> None:
    write_catalogue(folder, micro_entry(micro_folder), micro_entry(folder, name="gone", source="/gone", served=False))
    result = CliRunner().invoke(app, ["doctor", "--json"], catch_exceptions=False)
    told = json.loads(result.stdout)
    assert told["healthy"] is True and result.exit_code == 0
    assert [(need["model"], need["here"]) for need in told["models"]] == [("micro-wan", True), ("gone", False)]
    needs = told["models"][0]["needs"]
    assert needs['offload = "group"'] < needs['offload = "model"'] < needs["everything on the device"]


def test_a_served_model_that_could_not_be_makes_it_exit_with_1_and_say_what_to_do(
    folder: Path, micro_folder: Path
) -> None:
    entry = micro_entry(micro_folder, device="cuda", dtype="bfloat16", attention_backend="sage")
    write_catalogue(folder, entry.model_copy(update={"quantization": "int8_dynamic"}))
    result = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 1
    for words in ("→ install the NVIDIA driver", "→ pip install sageattention, or leave attention_backend out",
                  "→ pip install 'scalingcache-serve[quantization]'", "→ model micro-wan: set device"):  # fmt: skip
        assert words in result.output


def test_a_checkpoint_that_is_cut_is_told(folder: Path, micro_folder: Path) -> None:
    write_catalogue(folder, micro_entry(folder / "half"))
    (folder / "half").mkdir()
    assert "model_index.json is missing" in found("model micro-wan").says


def test_a_source_that_is_neither_a_folder_nor_a_hub_id_is_told_and_all_else_looked_at(
    folder: Path, micro_folder: Path
) -> None:
    moved = micro_entry(folder, name="moved", source="models/moved/away")
    mistyped = micro_entry(folder, name="mistyped", source="some one/model")
    write_catalogue(folder, moved, mistyped, micro_entry(micro_folder))
    assert found("model moved").says == "models/moved/away: there is no such folder"
    assert found("model mistyped").says == "its checkpoint is not on this machine, so its size is not known"
    assert found("model micro-wan").state == "ok"


def test_a_redis_that_is_away_or_keeps_nothing_is_told(
    folder: Path, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", "redis://me:hunter2@127.0.0.1:1/0")
    away = found("redis")
    assert away.state == "failed" and "start Redis" in (away.advice or "")
    assert "hunter2" not in away.says


def test_a_folder_that_cannot_be_written_is_told_and_one_that_is_not_there_yet_is_not_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALINGCACHE_ARTIFACTS", "/proc/self")
    refused = found("storage")
    assert refused.state == "failed" and "SCALINGCACHE_ARTIFACTS" in (refused.advice or "")
    monkeypatch.setenv("SCALINGCACHE_ARTIFACTS", "a/b")
    assert found("storage").says == "a/b is not there yet; a worker makes it"
    assert not (folder / "a").exists()
