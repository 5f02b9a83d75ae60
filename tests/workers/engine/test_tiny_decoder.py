"""Previews by a tiny decoder, in the place of a linear map."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.workers.micro_wan import micro_entry, micro_request
from workers.engine.generation import generate
from workers.engine.latent_preview import Previews
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.preview_budget import PreviewBudget
from workers.engine.tiny_decoder import load_tiny_decoder
from workers.jobs.errors import ModelLoadFailed
from workers.measurement.examination import examine
from workers.models.catalogue import Catalogue, families
from workers.models.preview_decoder import WEIGHTS


def saved(folder: Path, channels: int) -> Path:
    torch.manual_seed(0)
    small = {"encoder_block_out_channels": (4,) * 4, "decoder_block_out_channels": (4,) * 4}
    AutoencoderTiny(latent_channels=channels, **small).save_pretrained(folder)
    return folder


def test_it_shows_the_first_run_of_all_and_the_result_is_the_same_to_the_bit(
    micro: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.engine.latent_preview.LEAST_SECONDS", 0.0)
    tiny, shown = load_tiny_decoder(saved(tmp_path, micro.latent_channels), micro), list[bytes]()
    request = micro_request(sf=100)
    budget = PreviewBudget(0.0)
    budget.spend(-1e6)
    monkeypatch.setattr(budget, "begin", lambda: None)
    previews = Previews(tiny, lambda _index, picture: shown.append(picture), budget)
    frames = generate(micro, request, previews=previews).frames
    assert np.array_equal(frames, generate(micro, request).frames)
    assert len(shown) == request.steps
    with Image.open(io.BytesIO(shown[-1])) as opened:
        assert (opened.format, opened.size) == ("WEBP", (32, 32))


def test_its_pictures_are_those_of_the_decoder_and_no_larger_than_a_preview(micro: LoadedModel, tmp_path: Path) -> None:
    folder = saved(tmp_path, micro.latent_channels)
    tiny, decoder = load_tiny_decoder(folder, micro), AutoencoderTiny.from_pretrained(folder)
    latents = torch.randn(micro.latent_channels, 2, 4, 6)
    with torch.no_grad():
        decoded = decoder.decode(latents.transpose(0, 1)).sample
    expected = ((decoded.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(tiny.pictures(latents) - expected).max() <= 1
    assert tiny.pictures(torch.zeros(micro.latent_channels, 1, 48, 96)).shape == (1, 96, 192, 3)
    assert tiny.pictures(torch.full((micro.latent_channels, 1, 4, 4), torch.nan)).dtype == np.uint8


@pytest.mark.parametrize(
    ("channels", "damage", "words"),
    [
        (5, lambda _folder: None, "it decodes 5 latent channels, and the model has 4"),
        (
            4,
            lambda folder: (folder / "config.json").write_text('{"_class_name": "AutoencoderKL"}'),
            "is AutoencoderKL, and",
        ),
        (4, lambda folder: (folder / "config.json").write_text("[]"), "config.json cannot be read"),
        (4, lambda folder: (folder / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
        (4, lambda folder: (folder / "config.json").unlink(), "config.json cannot be read"),
        (4, shutil.rmtree, "there is no such folder"),
    ],
)
def test_one_that_cannot_be_the_models_is_refused_before_the_model_is_read(
    micro_folder: Path, tmp_path: Path, channels: int, damage: Callable[[Path], object], words: str
) -> None:
    damage(folder := saved(tmp_path / "tiny", channels))
    entry = micro_entry(micro_folder, preview_decoder=str(folder))
    with pytest.raises(ModelLoadFailed, match=f"model micro-wan from .*: preview_decoder {folder}: .*{words}"):
        load_model(entry, families()[entry.family])
    found = examine(Catalogue({entry.name: entry}, families()), entry.name, meta=True)
    assert [words in problem for problem in found.problems] == [True]


def test_weights_that_are_not_finite_are_refused(micro: LoadedModel, tmp_path: Path) -> None:
    weights = load_file(path := saved(tmp_path, micro.latent_channels) / WEIGHTS)
    next(iter(weights.values())).view(-1)[0] = torch.nan
    save_file(weights, path)
    with pytest.raises(
        ModelLoadFailed, match=f"model micro-wan: preview_decoder {tmp_path}: its weights are not finite"
    ):
        load_tiny_decoder(tmp_path, micro)
