"""The checker reads from drawn clips what they were drawn to show."""

import json

import numpy as np
import pytest
import torch
from skimage.filters import gaussian

from bench.checker import read_video
from demo.prompt_files import HELD_OUT, held_out_spec
from demo.training.clips import BACKGROUNDS, LIGHTINGS, SHAPES, plain_spec, render

FRAMES = torch.tensor([0, 8, 16, 24, 32])


def test_every_held_out_clip_is_read_as_it_was_drawn() -> None:
    wrong = []
    for seed, row in enumerate(map(json.loads, HELD_OUT.read_text().splitlines())):
        video = render(held_out_spec(row, seed)).permute(1, 2, 3, 0).numpy()
        seen = read_video(video, row["lighting"])
        wrong += [
            (row["prompt"], name)
            for name in ("colour", "motion", "shape", "background")
            if getattr(seen, name) != row[name]
        ]
    assert wrong == []


@pytest.mark.parametrize("lighting", LIGHTINGS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_background_is_known_under_every_light_also_behind_a_still_object(background: str, lighting: str) -> None:
    spec = plain_spec("red", "square", "still", background, lighting, seed=3)
    assert read_video(render(spec, FRAMES).permute(1, 2, 3, 0).numpy(), lighting).background == background


@pytest.mark.parametrize("background", ["black", "gray", "white"])
def test_a_gradient_is_no_plain_background(background: str) -> None:
    spec = plain_spec("blue", "circle", "still", background, "normal", seed=3)
    across = np.linspace(30, -30, 96).astype(int)[None, None, :, None]  # lit from the left
    lit = (render(spec, FRAMES).permute(1, 2, 3, 0).numpy() + across).clip(0, 255).astype(np.uint8)
    assert read_video(lit).background not in ("black", "gray", "white")


@pytest.mark.parametrize("frames", [1, 5])
def test_a_picture_without_an_object_has_a_background_all_the_same(frames: int) -> None:
    seen = read_video(np.full((frames, 96, 96, 3), 223, np.uint8))
    assert (seen.shape, seen.background) == ("none", "white")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_known_where_its_edges_are_soft_and_something_is_stuck_to_it(shape: str) -> None:
    spec = plain_spec("blue", shape, "still", "white", "normal", seed=3)
    video = render(spec, FRAMES).permute(1, 2, 3, 0).float().numpy()
    soft = gaussian(video, (0, 2, 2, 0), preserve_range=True).round().astype(np.uint8)
    left, top = (int(value - spec.objects[0].half_sizes[0]) for value in spec.objects[0].start)
    for row in range(top, top + 30, 10):
        soft[:, row, left - 4 : left + 2] = (20, 30, 240)
    assert read_video(soft).shape == shape
