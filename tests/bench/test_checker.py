"""The checker reads from drawn clips what they were drawn to show."""

import json

import numpy as np
import pytest
import torch

from bench.checker import read_video
from bench.prompt_following import HELD_OUT
from demo.prompt_files import held_out_spec
from demo.training.clips import BACKGROUNDS, LIGHTINGS, plain_spec, render

FRAMES = torch.tensor([0, 8, 16, 24, 32])


def test_every_held_out_clip_is_read_as_it_was_drawn_but_for_one_small_cross() -> None:
    wrong = []
    for seed, row in enumerate(map(json.loads, HELD_OUT.read_text().splitlines())):
        video = render(held_out_spec(row, seed)).permute(1, 2, 3, 0).numpy()
        seen = read_video(video, row["lighting"])
        wrong += [
            (row["prompt"], name)
            for name in ("colour", "motion", "shape", "background")
            if getattr(seen, name) != row[name]
        ]
    assert [name for _, name in wrong] in ([], ["shape"])


@pytest.mark.parametrize("lighting", LIGHTINGS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_background_is_known_under_every_light_also_behind_a_still_object(background: str, lighting: str) -> None:
    spec = plain_spec("red", "square", "still", background, lighting, seed=3)
    assert read_video(render(spec, FRAMES).permute(1, 2, 3, 0).numpy(), lighting).background == background


@pytest.mark.parametrize("background", ["black", "gray", "white"])
def test_a_gradient_is_no_plain_background(background: str) -> None:
    spec = plain_spec("blue", "circle", "still", background, "normal", seed=3)
    lit = render(spec, FRAMES, daylight=True).permute(1, 2, 3, 0).numpy()
    assert read_video(lit).background not in ("black", "gray", "white")


def test_a_picture_without_an_object_has_a_background_all_the_same() -> None:
    seen = read_video(np.full((5, 96, 96, 3), 223, np.uint8))
    assert (seen.shape, seen.background) == ("none", "white")
