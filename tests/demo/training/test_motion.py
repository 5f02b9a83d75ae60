"""What is said of motion while a checkpoint is trained."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from demo.training import motion
from demo.training.captions import plain_caption
from demo.training.clips import training_spec
from demo.training.recipes import recipe

WAN = recipe("wan-tiny")
LATENTS = torch.randn(100, 8, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Reader(nn.Module):
    """Networks whose velocity is right by `skill`, for the captions that are meant."""

    def __init__(self, skill: float) -> None:
        super().__init__()
        self.skill = skill
        seeds = motion.moving_clips(len(LATENTS))
        self.clean = LATENTS[seeds]
        self.right, _ = WAN.tokenize([plain_caption(training_spec(seed)) for seed in seeds])

    def forward(self, noisy: Tensor, levels: Tensor, guidance: Tensor, *texts: Tensor) -> Tensor:
        level = levels.view(len(noisy), 1, -1, 1, 1)
        velocity = (noisy - self.clean) / level
        return velocity if torch.equal(texts[0], self.right) else velocity + self.skill


def test_networks_that_do_not_read_directions_show_no_rise_and_those_that_do_show_theirs() -> None:
    untaught: Any = Reader(skill=0.0)
    taught: Any = Reader(skill=0.5)
    assert set(motion.rises(WAN, untaught, LATENTS).values()) == {0.0}
    rises = motion.rises(WAN, taught, LATENTS)
    assert list(rises) == ["rise at 0.6", "rise at 0.9", "rise at 0.97"]
    assert list(rises.values()) == pytest.approx([0.25] * 3, rel=1e-3)


def test_the_opposite_of_a_clip_differs_in_its_direction_alone() -> None:
    spec = training_spec(motion.moving_clips(100)[0])
    turned = motion.opposite(spec)
    assert turned != spec and motion.opposite(turned) == spec
    assert (turned.background, turned.objects[0].shape) == (spec.background, spec.objects[0].shape)


def test_images_are_not_asked() -> None:
    untaught: Any = Reader(skill=0.0)
    assert motion.rises(recipe("flux-tiny"), untaught, LATENTS) == {}
