"""`fetch` against a server that speaks the hub's API, and fails as hubs and networks do."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.catalogues import catalogue_text
from tests.workers.commands.command_line import run
from tests.workers.fake_hub import COMMIT, LARGE, Hub, serving
from tests.workers.micro_wan import micro_entry
from workers.jobs.errors import ModelLoadFailed
from workers.models.hub.errors import HubError, explained

NAME = "someone/micro-wan"
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def hub(micro_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The micro checkpoint on a hub, with files that nothing reads; an empty cache; a catalogue that names it."""
    unread = {"wan.safetensors": b"x" * LARGE, "transformer/diffusion_pytorch_model.bin": b"x", "README.md": b"x"}
    catalogue(tmp_path, revision=COMMIT)
    monkeypatch.chdir(tmp_path)
    with serving(Hub.of_folder(NAME, micro_folder, unread)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


def catalogue(folder: Path, **changes: object) -> None:
    (folder / "models.toml").write_text(catalogue_text(micro_entry(Path(), **{"source": NAME, **changes})))


def lying(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models--someone--micro-wan" / "snapshots" / COMMIT


def test_what_is_read_is_fetched_and_nothing_else(hub: Hub, micro_folder: Path, tmp_path: Path) -> None:
    output = run("fetch", "micro-wan")
    there = {str(path.relative_to(lying(tmp_path))) for path in lying(tmp_path).rglob("*") if path.is_file()}
    wanted = {str(path.relative_to(micro_folder)) for path in micro_folder.rglob("*") if path.is_file()}
    assert there == wanted
    assert (lying(tmp_path) / WEIGHTS).read_bytes() == (micro_folder / WEIGHTS).read_bytes()
    assert f"{NAME} at {COMMIT}: {len(wanted)} files" in output and "next: python -m workers check micro-wan" in output
    hub.served.clear()
    run("fetch", "micro-wan")
    assert hub.served == []


def test_a_cut_connection_is_taken_up_where_it_ended(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # 10 MiB, of which half would be none
    hub.cuts[WEIGHTS] = 1
    run("fetch", "micro-wan")
    assert [start for path, start in hub.served if path == WEIGHTS] == [0, len(hub.files[WEIGHTS]) // 2]
    assert (lying(tmp_path) / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_connection_that_stays_away_ends_the_command_and_the_next_one_goes_on(hub: Hub) -> None:
    hub.cuts[WEIGHTS] = 100
    with pytest.raises(HubError, match=r"the connection to the hub failed: .*; files that have arrived whole are kept"):
        run("fetch", "micro-wan")
    before = {path for path, _ in hub.served}
    hub.cuts.clear()
    hub.served.clear()
    run("fetch", "micro-wan")
    assert {path for path, _ in hub.served} & before == {WEIGHTS}


@pytest.mark.parametrize("path", [WEIGHTS, "scheduler/scheduler_config.json"])
def test_a_file_with_another_content_than_the_hub_names_is_refused_and_deleted(
    hub: Hub, tmp_path: Path, path: str
) -> None:
    hub.contents[path] = bytes(len(hub.files[path]))
    message = rf"{path} arrived 2 times with another content than the hub names \({hub.tag(path)}"
    with pytest.raises(HubError, match=message):
        run("fetch", "micro-wan")
    assert not (lying(tmp_path) / path).exists()
    hub.contents.clear()
    run("fetch", "micro-wan")
    assert (lying(tmp_path) / path).read_bytes() == hub.files[path]


def test_a_file_that_was_damaged_on_this_machine_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    run("fetch", "micro-wan")
    blob = (lying(tmp_path) / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    run("fetch", "micro-wan")
    assert (lying(tmp_path) / WEIGHTS).read_bytes() == hub.files[WEIGHTS]


def test_a_checkpoint_that_is_not_whole_on_the_hub_either_is_told(hub: Hub) -> None:
    hub.files = {path: content for path, content in hub.files.items() if path != "tokenizer/tokenizer.json"}
    with pytest.raises(ModelLoadFailed, match="tokenizer has no vocabulary"):
        run("fetch", "micro-wan")


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((401, "RepoNotFound"), "has no such repository, or shows it to its owners alone; .* or set HF_TOKEN"),
        (
            (403, "GatedRepo"),
            f"{NAME} is gated: accept its licence at .*/{NAME}, then set HF_TOKEN",
        ),
        ((404, "RepoNotFound"), "has no such repository"),
        ((500, "ServerError"), "the hub answered 500: .*; files that have arrived whole"),
    ],
)
def test_a_refusal_says_what_to_do(hub: Hub, refusal: tuple[int, str], message: str) -> None:
    hub.refusal = refusal
    with pytest.raises(HubError, match=message):
        run("fetch", "micro-wan")


def test_a_commit_that_is_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    catalogue(tmp_path, revision="c" * 40)
    with pytest.raises(HubError, match=f"{NAME} at {'c' * 40}: the repository has no such commit; correct revision"):
        run("fetch", "micro-wan")


def test_without_a_commit_the_one_that_was_fetched_is_told(hub: Hub, tmp_path: Path) -> None:
    catalogue(tmp_path)
    assert f'write into its table: revision = "{COMMIT}"' in run("fetch", "micro-wan")


def test_a_variant_that_is_not_there_is_refused_before_the_first_weight(hub: Hub, tmp_path: Path) -> None:
    catalogue(tmp_path, revision=COMMIT, variant="fp61")
    with pytest.raises(HubError, match="variant 'fp61': no part of the repository has such files; leave variant out"):
        run("fetch", "micro-wan")
    assert [path for path, _ in hub.served] == ["model_index.json"]


def test_what_would_not_fit_is_refused_before_the_first_byte(hub: Hub) -> None:
    hub.sizes[WEIGHTS] = 10**18
    with pytest.raises(HubError, match=r"needs 1000000000\.0 GB more in .*, where .* free; make room, or set HF_HOME"):
        run("fetch", "micro-wan")
    assert WEIGHTS not in [path for path, _ in hub.served]


def test_a_disk_that_fills_up_on_the_way_is_told_as_one() -> None:
    with pytest.raises(HubError, match="the disk is full; make room"), explained(NAME, COMMIT):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_lora_of_the_entry_is_fetched_too(
    hub: Hub, tmp_path: Path, micro_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(tmp_path, source=str(micro_folder))
    loras = "SCALINGCACHE_MODELS__MICRO_WAN__LORAS"
    monkeypatch.setenv(loras, f'[{{ source = "{NAME}", weight_name = "wan.safetensors" }}]')
    run("fetch", "micro-wan")
    assert [path for path, _ in hub.served] == ["wan.safetensors"]
    monkeypatch.setenv(loras, f'[{{ source = "{NAME}" }}]')
    with pytest.raises(HubError, match="set weight_name to one of its files"):
        run("fetch", "micro-wan")


def test_the_hub_that_the_environment_names_is_asked(hub: Hub, tmp_path: Path) -> None:
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    command = [sys.executable, "-m", "workers", "fetch", "micro-wan"]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert list((tmp_path / "home" / "hub").glob(f"*/snapshots/*/{WEIGHTS}"))
    offline = os.environ | variables | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line == f"workers: {NAME}: HF_HUB_OFFLINE is set, so nothing is fetched; set it to 0"
