"""Whose a checkpoint is, and whether all of it is there, is said before it is loaded: by file, value and remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.workers import micro_flux, micro_hunyuan_video
from tests.workers import micro_wan_variants as wan
from tests.workers.micro_wan import micro_entry, save_micro_wan
from workers.engine.loaded import load_model
from workers.jobs.errors import ModelLoadFailed
from workers.models.catalogue import families
from workers.models.identification import check_family, check_parts, check_whole, families_of
from workers.models.parts import Checkpoint

ROOT = Path(__file__).parents[3]
SAVE = {
    "wan": save_micro_wan,
    "wan with experts": wan.save_micro_experts,
    "wan-i2v": wan.save_micro_i2v,
    "wan-i2v with experts": wan.save_micro_i2v_experts,
    "wan-ti2v": wan.save_micro_ti2v,
    "flux": micro_flux.save_micro_flux,
    "hunyuan_video": micro_hunyuan_video.save_micro_hunyuan_video,
}
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of each kind, written once."""
    root = tmp_path_factory.mktemp("checkpoints")

    def save(name: str) -> Path:
        folder = root / name.replace(" ", "-")
        if not folder.exists():
            SAVE[name](folder)
        return folder

    return save


@pytest.fixture
def copied(saved: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy for the test to damage."""
    return lambda name: Path(shutil.copytree(saved(name), tmp_path / "copy"))


def check(folder: Path, family: str, variant: str | None = None) -> None:
    checkpoint = Checkpoint.read(folder)
    check_family(checkpoint, families()[family], families())
    check_parts(checkpoint, families()[family])
    check_whole(checkpoint, variant)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", SAVE)
def test_a_whole_checkpoint_is_of_one_family_alone(saved: Callable[[str], Path], name: str) -> None:
    family = name.split(" ")[0]
    assert families_of(Checkpoint.read(saved(name)), families()) == [family]
    check(saved(name), family)


@pytest.mark.parametrize(
    "family", ["wan-tiny wan", "wan-ti2v-tiny wan-ti2v", "flux-tiny flux", "hunyuan-tiny hunyuan_video"]
)
def test_the_checkpoints_that_ship_are_whole_and_their_families(family: str) -> None:
    name, its = family.split(" ")
    assert families_of(Checkpoint.read(ROOT / "demo" / "checkpoints" / name), families()) == [its]
    check(ROOT / "demo" / "checkpoints" / name, its)


@pytest.mark.parametrize(
    ("name", "family", "words"),
    [
        (
            "wan-i2v with experts",
            "wan",
            r"saved by a WanImageToVideoPipeline, .*boundary_ratio 0\.6.*family = 'wan-i2v'",
        ),
        ("wan with experts", "wan-i2v", r"saved by a WanPipeline, .*in_channels 4, .*set family = 'wan'"),
        ("flux", "wan", r"saved by a FluxPipeline, family wan runs a WanPipeline; .*set family = 'flux'"),
        ("wan-ti2v", "wan", r"expand_timesteps True, family wan needs False; .*set family = 'wan-ti2v'"),
        ("wan", "wan-ti2v", r"expand_timesteps False, family wan-ti2v needs True; .*set family = 'wan'"),
        ("wan", "hunyuan_video", r"saved by a WanPipeline, .*set family = 'wan'"),
    ],
)
def test_a_checkpoint_of_another_family_is_refused_with_what_was_found_and_whose_it_is(
    saved: Callable[[str], Path], name: str, family: str, words: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=words):
        check(saved(name), family)


@pytest.mark.parametrize(
    ("name", "file", "changes", "words"),
    [
        ("wan", "transformer/config.json", {"in_channels": 12}, "in_channels 12, family wan needs 4 .*no family"),
        ("wan", "transformer/config.json", {"image_dim": 16}, "image_dim 16, family wan gives it no encoded image"),
        ("wan", "transformer/config.json", {"patch_size": [1, 4, 4]}, "multiples of 32, family wan of 16"),
        ("wan", "model_index.json", {"boundary_ratio": 0.6}, "no transformer_2 and boundary_ratio 0.6"),
        ("wan with experts", "model_index.json", {"boundary_ratio": None}, "a transformer_2 and boundary_ratio None"),
        ("wan-i2v", "model_index.json", {"image_encoder": [None, None]}, "image_dim 16, .*has no image_encoder"),
        ("flux", "transformer/config.json", {"in_channels": 384}, "in_channels 384, family flux needs 4 times .* 16"),
        ("flux", "vae/config.json", {"block_out_channels": [8] * 5}, "multiples of 32, family flux of 16"),
        ("hunyuan_video", "transformer/config.json", {"in_channels": 9}, "in_channels 9, family hunyuan_video needs"),
    ],
)  # fmt: skip
def test_what_the_configurations_say_is_held_against_the_family(
    copied: Callable[[str], Path], name: str, file: str, changes: dict[str, Any], words: str
) -> None:
    folder = copied(name)
    edit(folder / file, **changes)
    with pytest.raises(ModelLoadFailed, match=words):
        check(folder, name.split(" ")[0])


def half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def without_words(path: Path) -> None:
    table = json.loads(path.read_text())
    table["model"]["vocab"] = {"<pad>": 0, "</s>": 1, "<unk>": 2, "<a>": 3, "<b>": 4}
    path.write_text(json.dumps(table))


def with_more_words(path: Path) -> None:
    table = json.loads(path.read_text())
    table["model"]["vocab"] |= {f"word{number}": 5 + number for number in range(20)}
    path.write_text(json.dumps(table))


Damage = Callable[[Path], object]
DAMAGES: list[tuple[str, str, Damage, str]] = [
    ("wan", "tokenizer", shutil.rmtree, "model_index.json names tokenizer, .* but the folder tokenizer is missing"),
    ("wan", "tokenizer/tokenizer.json", Path.unlink, "tokenizer has no vocabulary: one of tokenizer.json, vocab.json"),
    ("wan", "tokenizer/tokenizer.json", half, "tokenizer/tokenizer.json is cut off or damaged"),
    ("wan", "tokenizer/tokenizer.json", without_words, "tokenizer/tokenizer.json: .*'red' and 'sky' for the same"),
    ("wan", "tokenizer/tokenizer.json", with_more_words, "tokenizer has 25 tokens and text_encoder/config.json .*8"),
    ("wan", "tokenizer/tokenizer_config.json", Path.unlink, "tokenizer/tokenizer_config.json is missing"),
    ("flux", "tokenizer_2", shutil.rmtree, "model_index.json names tokenizer_2, .* is missing"),
    ("hunyuan_video", "tokenizer_2/tokenizer.json", without_words, "tokenizer_2/tokenizer.json: .* for the same"),
    ("wan", TRANSFORMER, half, f"{TRANSFORMER} is cut off or damaged"),
    ("wan", TRANSFORMER, Path.unlink, f"{TRANSFORMER} is missing; in the folder are: config.json"),
    ("wan", "vae/config.json", Path.unlink, "vae/config.json is missing"),
    ("wan", "scheduler/scheduler_config.json", Path.unlink, "scheduler/scheduler_config.json is missing"),
    ("wan-i2v", "image_processor", shutil.rmtree, "names image_processor, .* is missing"),
    ("wan-i2v", "image_encoder/model.safetensors", half, "image_encoder/model.safetensors is cut off"),
    ("wan with experts", TRANSFORMER.replace("transformer/", "transformer_2/"), half, "transformer_2/.* is cut off"),
    ("wan", "model_index.json", half, "model_index.json is cut off or damaged"),
    ("wan", "model_index.json", Path.unlink, "model_index.json is missing"),
    (
        "wan", "model_index.json", lambda path: edit(path, text_encoder=[None, None]),
        "model_index.json: text_encoder is null or missing; family wan needs text_encoder",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "damage", "words"), DAMAGES)
def test_a_checkpoint_that_is_not_whole_is_refused_with_the_file(
    copied: Callable[[str], Path], name: str, file: str, damage: Damage, words: str
) -> None:
    folder = copied(name)
    damage(folder / file)
    with pytest.raises(ModelLoadFailed, match=words):
        check(folder, name.split(" ")[0])


def sharded(folder: Path) -> Path:
    """The transformer's weights in several files, as the hub has those of large models."""
    from diffusers import WanTransformer3DModel

    model = WanTransformer3DModel.from_pretrained(folder / "transformer")
    (folder / TRANSFORMER).unlink()
    model.save_pretrained(folder / "transformer", max_shard_size="20KB")
    return folder / "transformer"


def test_every_shard_that_the_index_names_must_be_there_and_whole(copied: Callable[[str], Path]) -> None:
    folder = copied("wan")
    shards = sorted(sharded(folder).glob("*.safetensors"))
    assert len(shards) > 1
    check(folder, "wan")
    content = shards[1].read_bytes()
    half(shards[1])
    with pytest.raises(ModelLoadFailed, match=f"{shards[1].name} is cut off or damaged"):
        check(folder, "wan")
    shards[1].unlink()
    with pytest.raises(ModelLoadFailed, match=f"{shards[1].name} is missing, which the index of transformer names"):
        check(folder, "wan")
    shards[1].write_bytes(content)
    index = next((folder / "transformer").glob("*.index.json"))
    places = json.loads(index.read_text())["weight_map"]
    edit(index, weight_map=places | {"one.more": shards[0].name})
    with pytest.raises(ModelLoadFailed, match=f"{shards[0].name} lacks one.more, which .* says is in it"):
        check(folder, "wan")


def as_variant(folder: Path, variant: str) -> None:
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_name(path.name.replace(".safetensors", f".{variant}.safetensors")))


def test_a_variant_is_read_where_the_entry_names_it_and_asked_for_where_it_does_not(
    copied: Callable[[str], Path],
) -> None:
    folder = copied("wan")
    plain = load_model(micro_entry(folder), families()["wan"]).fingerprint
    as_variant(folder, "fp16")
    with pytest.raises(ModelLoadFailed, match=r"has no .*, but weights of the variants fp16: set variant = 'fp16'"):
        load_model(micro_entry(folder), families()["wan"])
    with pytest.raises(ModelLoadFailed, match=r"variant 'bf16': no part .* has such files; variant = 'fp16'"):
        load_model(micro_entry(folder, variant="bf16"), families()["wan"])
    assert load_model(micro_entry(folder, variant="fp16"), families()["wan"]).fingerprint == plain
    next((folder / "vae").glob("*.safetensors")).unlink()
    with pytest.raises(ModelLoadFailed, match=r"vae/diffusion_pytorch_model.safetensors is missing"):
        load_model(micro_entry(folder, variant="fp16"), families()["wan"])


def test_weights_of_a_variant_are_other_weights(copied: Callable[[str], Path]) -> None:
    from safetensors.torch import save_file

    folder = copied("wan")
    changed = {name: 2 * tensor for name, tensor in load_file(folder / TRANSFORMER).items()}
    save_file(changed, folder / TRANSFORMER.replace(".safetensors", ".bf16.safetensors"), metadata={"format": "pt"})
    models = [load_model(micro_entry(folder, variant=variant), families()["wan"]) for variant in (None, "bf16")]
    assert models[0].fingerprint != models[1].fingerprint
    assert models[1].entry.shown() == "float32 on cpu, variant bf16"


def test_weights_in_pickles_alone_are_refused_with_what_to_do(copied: Callable[[str], Path]) -> None:
    folder = copied("wan")
    (folder / TRANSFORMER).rename((folder / TRANSFORMER).with_suffix(".bin"))
    with pytest.raises(ModelLoadFailed, match=r"diffusion_pytorch_model\.bin alone, .*safe_serialization=True"):
        check(folder, "wan")


def test_a_vocabulary_that_needs_sentencepiece_says_how_to_get_it(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.models.vocabulary.find_spec", lambda _name: None)  # also where the developer has it
    folder = copied("wan")
    (folder / "tokenizer/tokenizer.json").rename(folder / "tokenizer/spiece.model")
    with pytest.raises(
        ModelLoadFailed, match=r"tokenizer/spiece.model is read by sentencepiece, .*pip install sentencep"
    ):
        check(folder, "wan")


def test_nothing_large_is_read_before_the_family_is_known(copied: Callable[[str], Path]) -> None:
    folder = copied("wan-ti2v")
    for path in folder.glob("*/*.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(ModelLoadFailed, match=r"model micro-wan from .*set family = 'wan-ti2v'"):
        load_model(micro_entry(folder), families()["wan"])


def test_a_checkpoint_from_the_hub_is_looked_at_where_the_hubs_library_keeps_it(
    saved: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0" * 40
    kept = tmp_path / "models--someone--video" / "snapshots" / commit
    shutil.copytree(saved("wan"), kept)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    entry = micro_entry(Path("nowhere"), source="someone/video", revision=commit)
    assert load_model(entry, families()["wan"]).entry.source == "someone/video"
    half(kept / TRANSFORMER)
    with pytest.raises(ModelLoadFailed, match=f"model micro-wan from someone/video: {TRANSFORMER} is cut off"):
        load_model(entry, families()["wan"])
    with pytest.raises(ModelLoadFailed, match="set family = 'wan'"):
        load_model(entry, families()["flux"])
