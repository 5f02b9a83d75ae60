"""Whether motion is being learned: how much the loss rises when captions name the opposite direction.

It shows within minutes what samples show after an hour. Where nothing rises at the high noise levels, at which it is
settled what moves where, the noise levels of the training are too low or nothing tells the networks where a token is.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from demo.training.captions import plain_caption
from demo.training.clips import DIRECTIONS, ClipSpec, training_spec
from demo.training.precision import autocast
from demo.training.recipe import Networks, Recipe

EVERY_STEPS = 250
LEVELS = (0.6, 0.9, 0.97)
CLIPS = 16
SEED = 7

_NAMES = {step: name for name, step in DIRECTIONS.items()}


def opposite(spec: ClipSpec) -> ClipSpec:
    """The same clip of one object, said to move the other way."""
    [thing] = spec.objects
    across, down = DIRECTIONS[thing.motion]
    return replace(spec, objects=(replace(thing, motion=_NAMES[-across, -down]),))


def moving_clips(clips: int) -> list[int]:
    """Seeds of training clips in which one object moves somewhere."""
    found = []
    for seed in range(clips):
        objects = training_spec(seed).objects
        if len(objects) == 1 and objects[0].motion in DIRECTIONS:
            found.append(seed)
        if len(found) == CLIPS:
            break
    return found


@torch.no_grad()
def rises(recipe: Recipe, networks: Networks, latents: Tensor) -> dict[str, float]:
    """Mean squared error by the opposite caption less that by the right one, by noise level; nothing for images.

    latents: of the training clips, [clips, channels, frames, height, width], of mean 0 and deviation 1.
    """
    if recipe.still:
        return {}
    seeds = moving_clips(min(recipe.clips, len(latents)))
    specs = [training_spec(seed) for seed in seeds]
    right, wrong = ([plain_caption(spec) for spec in each] for each in (specs, map(opposite, specs)))
    clean = latents[seeds].float()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(SEED))
    found = {}
    for level in LEVELS:
        errors = [_error(recipe, networks, clean, noise, level, captions) for captions in (right, wrong)]
        found[f"rise at {level:g}"] = errors[1] - errors[0]
    return found


def _error(
    recipe: Recipe, networks: Networks, clean: Tensor, noise: Tensor, level: float, captions: list[str]
) -> float:
    levels = torch.full((len(clean), clean.shape[2]), level)
    noisy = (1.0 - level) * clean + level * noise
    with autocast():
        velocity = networks(noisy, levels, torch.ones(len(clean)), *recipe.tokenize(captions))
    return float((velocity.float() - (noise - clean)).pow(2).mean())
