"""`add` looks at a checkpoint and writes an entry that is true of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.catalogues import a_model, catalogue_text
from tests.workers import micro_flux, micro_hunyuan_video
from tests.workers import micro_wan_variants as variants
from tests.workers.commands.command_line import run
from tests.workers.fake_hub import COMMIT, Hub, serving
from tests.workers.micro_wan import save_micro_wan
from workers.engine.loaded import load_model
from workers.jobs.errors import InvalidRequest, ModelLoadFailed
from workers.models.catalogue import Catalogue
from workers.models.entry import ModelEntry
from workers.models.hub.errors import HubError
from workers.models.layers import CatalogueError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a catalogue of another model, to run the command in."""
    (tmp_path / "models.toml").write_text(catalogue_text(a_model("other")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(folder: Path, name: str) -> ModelEntry:
    return Catalogue.read(folder / "models.toml", folder / "site.toml").entry(name)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_an_entry_is_what_scheduler_transformer_and_tokenizer_say(folder: Path, micro_folder: Path) -> None:
    shutil.copytree(micro_folder, folder / "My Wan_1.3B-Diffusers")
    change(folder / "My Wan_1.3B-Diffusers/scheduler/scheduler_config.json", flow_shift=7.5)
    change(folder / "My Wan_1.3B-Diffusers/tokenizer/tokenizer_config.json", model_max_length=9)
    output = run("add", "My Wan_1.3B-Diffusers")
    entry = read(folder, "my-wan-1.3b")
    assert (entry.family, entry.device, entry.dtype) == ("wan", "cpu", "float32")
    assert entry.source == str(folder / "My Wan_1.3B-Diffusers")
    assert (entry.defaults.flow_shift, entry.defaults.max_sequence_length) == (7.5, 9)
    assert (entry.limits.max_width, entry.defaults.width, entry.defaults.steps) == (512, 512, 50)
    assert entry.coefficients == (str(folder / "my-wan-1.3b.json"),)
    assert "to use it: export SCALINGCACHE_CATALOGUE_OVERRIDES=site.toml" in output
    assert "next: python -m workers check my-wan-1.3b" in output
    load_model(entry, Catalogue.read(folder / "models.toml").families["wan"])


@pytest.mark.parametrize(
    ("save", "family", "defaults"),
    [
        (variants.save_micro_i2v, "wan-i2v", {"steps": 50, "guidance_2": None}),
        (variants.save_micro_ti2v, "wan-ti2v", {"steps": 50, "fps": 24}),
        (variants.save_micro_experts, "wan", {"steps": 40, "sf": 8, "guidance": 4.0, "guidance_2": 3.0}),
        (micro_flux.save_micro_flux, "flux", {"frames": 1, "flow_shift": None}),
        (micro_hunyuan_video.save_micro_hunyuan_video, "hunyuan_video", {"guidance": 6.0, "fps": 24}),
    ],
    ids=["i2v", "ti2v", "experts", "flux", "hunyuan"],
)
def test_the_family_is_found(
    folder: Path, save: Callable[[Path], None], family: str, defaults: dict[str, object]
) -> None:
    save(folder / "micro")
    run("add", "micro")
    entry = read(folder, "micro")
    assert entry.family == family
    assert {name: getattr(entry.defaults, name) for name in defaults} == defaults


def test_a_distilled_flux_gets_few_steps_and_no_guidance(folder: Path) -> None:
    micro_flux.save_micro_flux(folder / "micro")
    change(folder / "micro/transformer/config.json", guidance_embeds=False)
    run("add", "micro", "--name", "schnell")
    defaults = read(folder, "schnell").defaults
    assert (defaults.steps, defaults.sf, defaults.guidance) == (4, 2, 0.0)


def test_what_is_in_the_file_stays_as_it_is(folder: Path, micro_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = folder / "site.toml"
    before = '# ours\n[models.other]  # the small one\ndefaults.sf = 8\n\n# keep: "as is"\n'
    site.write_text(before)
    monkeypatch.setenv("SCALINGCACHE_CATALOGUE_OVERRIDES", "site.toml")
    output = run("add", str(micro_folder), "--name", "mine.1")
    assert site.read_text().startswith(before.rstrip())
    assert read(folder, "other").defaults.sf == 8 and read(folder, "mine.1").family == "wan"
    assert "export" not in output


def test_an_entry_is_never_replaced_unasked(folder: Path, micro_folder: Path) -> None:
    run("add", str(micro_folder), "--name", "mine")
    (folder / "site.toml").write_text((folder / "site.toml").read_text().replace("sf = 10", "sf = 9 # tried"))
    with pytest.raises(InvalidRequest, match=r"mine is in site\.toml already: .* --name, or --replace"):
        run("add", str(micro_folder), "--name", "mine")
    assert read(folder, "mine").defaults.sf == 9
    run("add", str(micro_folder), "--name", "mine", "--replace")
    assert read(folder, "mine").defaults.sf == 10


@pytest.mark.parametrize("options", [[], ["--replace"]])
def test_an_entry_of_the_catalogue_itself_is_not_written_over(
    folder: Path, micro_folder: Path, options: list[str]
) -> None:
    with pytest.raises(InvalidRequest, match=r"other is in models\.toml already: choose another --name"):
        run("add", str(micro_folder), "--name", "other", *options)
    assert not (folder / "site.toml").exists()


def test_an_entry_in_the_catalogues_own_file_is_replaced_whole(folder: Path, micro_folder: Path) -> None:
    (folder / "models.toml").write_text(catalogue_text(a_model("other", vae_tiling=True)))
    run("add", str(micro_folder), "--name", "other", "--file", "models.toml", "--replace")
    entry = Catalogue.read(folder / "models.toml").entry("other")
    assert (entry.source, entry.vae_tiling) == (str(micro_folder), False)


def test_a_file_that_could_not_be_read_with_the_entry_stays_as_it_was(
    folder: Path, micro_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = "[models.other]\ndefaults.sf = 900\n"  # which this shell alone has right
    (folder / "site.toml").write_text(before)
    monkeypatch.setenv("SCALINGCACHE_MODELS__OTHER__DEFAULTS__SF", "8")
    with pytest.raises(CatalogueError, match=r"^site\.toml: models\.other\.defaults: .* sf 900 must be"):
        run("add", str(micro_folder), "--name", "mine")
    assert (folder / "site.toml").read_text() == before
    assert sorted(path.name for path in folder.iterdir()) == ["models.toml", "site.toml"]


def test_a_name_that_no_entry_may_have_is_refused_in_a_line(folder: Path, micro_folder: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"^name 'My_Model': must be small letters, digits, '\.' and '-'$"):
        run("add", str(micro_folder), "--name", "My_Model")
    assert not (folder / "site.toml").exists()


@pytest.mark.parametrize(
    ("save", "channels"), [(save_micro_wan, "z_dim"), (micro_flux.save_micro_flux, "latent_channels")]
)
def test_a_checkpoint_without_a_part_is_refused(folder: Path, save: Callable[[Path], None], channels: str) -> None:
    save(folder / "micro")
    shutil.rmtree(folder / "micro/transformer")
    change(folder / "micro/vae/config.json", **{channels: 16})  # as a transformer that says nothing has it
    change(folder / "micro/model_index.json", transformer=[None, None])
    with pytest.raises(ModelLoadFailed, match=r"transformer is null or missing; family .* needs transformer"):
        run("add", "micro")


@pytest.mark.parametrize("source", ["/nowhere/at-all", "./nowhere"])
def test_a_path_that_is_no_folder_is_refused(folder: Path, source: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{source}: there is no such folder"):
        run("add", source)


def test_a_checkpoint_of_no_family_is_told_with_the_reason_of_each(folder: Path, micro_folder: Path) -> None:
    shutil.copytree(micro_folder, folder / "micro")
    change(folder / "micro/model_index.json", _class_name="LTXPipeline")
    with pytest.raises(ModelLoadFailed, match=r"no family runs it; found: LTXPipeline.*flux: it was saved by a LTXPip"):
        run("add", "micro")
    assert not (folder / "site.toml").exists()


def test_of_a_hub_id_only_the_configurations_are_fetched_and_the_commit_is_written(
    folder: Path, micro_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub.of_folder("someone/Micro-Wan-Diffusers", micro_folder)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
        output = run("add", "someone/Micro-Wan-Diffusers")
        assert "next: python -m workers fetch micro-wan" in output
        assert all(path.endswith(".json") for path, _ in hub.served)
        with pytest.raises(HubError, match=r"no such repository, .*; nor is there a folder"):
            run("add", "someone/else")
    entry = read(folder, "micro-wan")
    assert (entry.source, entry.revision, entry.family) == ("someone/Micro-Wan-Diffusers", COMMIT, "wan")
    assert entry.variant is None


@pytest.mark.parametrize(("beside", "variant"), [(False, "fp16"), (True, None)], ids=["alone", "beside plain ones"])
def test_a_hub_ids_variant_is_written_where_its_weights_are_variants_alone(
    folder: Path, micro_folder: Path, monkeypatch: pytest.MonkeyPatch, beside: bool, variant: str | None
) -> None:
    hub = Hub.of_folder("someone/Micro-Wan-Diffusers", micro_folder)
    variants_of = {path.replace(".safetensors", ".fp16.safetensors"): content for path, content in hub.files.items()}
    hub.files = {**hub.files, **variants_of} if beside else variants_of
    with serving(hub):
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
        run("add", "someone/Micro-Wan-Diffusers")
    assert read(folder, "micro-wan").variant == variant
