"""LPIPS and the CLIP score, on weights that are made on the spot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.workers.micro_text import tokenizer
from workers.jobs.errors import ModelLoadFailed
from workers.measurement.fidelity import Video
from workers.measurement.perceptual import ClipScore, Lpips

SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


def features(generator: torch.Generator) -> dict[str, Tensor]:
    """AlexNet's, as torchvision names them, with small random values."""
    made = {}
    for index, (out, into, kernel) in SHAPES.items():
        weight = torch.randn(out, into, kernel, kernel, generator=generator)
        made[f"features.{index}.weight"] = weight / (into * kernel**2) ** 0.5
        made[f"features.{index}.bias"] = torch.zeros(out)
    return made


def video(seed: int) -> Video:
    return np.random.default_rng(seed).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, generator = tmp_path_factory.mktemp("lpips"), torch.Generator().manual_seed(0)
    torch.save(features(generator), path / "alexnet-owt-7be5be79.pth")
    weights = {f"lin{n}.model.1.weight": torch.ones(1, shape[0], 1, 1) for n, shape in enumerate(SHAPES.values())}
    torch.save(weights, path / "alex.pth")
    return path


def test_lpips_is_zero_for_equal_videos_and_grows_with_the_difference(folder: Path) -> None:
    lpips, reference = Lpips.load(folder), video(0)
    near = np.clip(reference.astype(int) + np.random.default_rng(1).integers(-9, 9, reference.shape), 0, 255)
    assert lpips(reference, reference) == 0.0
    assert 0 < lpips(near.astype(np.uint8), reference) < lpips(video(2), reference)
    # Weights of 1 over unit vectors: at most 2 from each of the five layers, as their values are not negative.
    assert lpips(video(2), reference) < 10


def test_lpips_without_its_weights_says_which_files_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"alexnet-owt-7be5be79.pth and LPIPS's v0.1 alex.pth in"):
        Lpips.load(tmp_path)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=small | {"vocab_size": 8, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 1},
        vision_config=small | {"image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(path)
    tokenizer(max_length=8).save_pretrained(path)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(path)
    return path


def test_the_clip_score_depends_on_prompt_and_picture_and_takes_long_prompts(clip: Path) -> None:
    score = ClipScore(clip)
    scores = {score(video(0), "red"), score(video(0), "circle red " * 50), score(video(1), "red")}
    assert len(scores) == 3 and all(0 <= value <= 100 for value in scores)
    assert score(video(0), "red") == score(video(0), "red")


def test_the_clip_score_without_a_checkpoint_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=str(tmp_path)):
        ClipScore(tmp_path)
