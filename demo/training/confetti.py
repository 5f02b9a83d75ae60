"""Scenes of confetti: small discs anywhere, of one to three colours, on the backgrounds of the clips.

A caption says the colours and the background alone. Where each disc lies only the noise decides, so that small errors
on the way show.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from demo.training.captions import BACKGROUND_WORDS
from demo.training.clips import BACKGROUNDS, COLOURS, SIZE, empty_scene

WORDS = ("confetti",)
_FEWEST, _MOST = 20, 36
"""Discs in a scene."""
_RADII = (3.0, 6.0)
"""Of discs, in pixels."""


@dataclass(frozen=True)
class ConfettiSpec:
    """Everything that decides the pixels of a scene."""

    colours: tuple[str, ...]
    discs: tuple[tuple[float, float, float, str], ...]
    """Centre (x, y) and radius in pixels, and colour, from the lowest to the topmost."""
    background: str
    tone: float
    pattern_seed: int


def confetti_spec(seed: int) -> ConfettiSpec:
    """The training scene of a seed: each of its colours is there at least once."""
    rng = random.Random(f"confetti {seed}")
    colours = tuple(rng.sample(tuple(COLOURS), rng.choice((1, 1, 2, 2, 3))))
    shown = [*colours, *rng.choices(colours, k=rng.randint(_FEWEST, _MOST) - len(colours))]
    rng.shuffle(shown)
    discs = tuple((rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(*_RADII), colour) for colour in shown)
    return ConfettiSpec(colours, discs, rng.choice(BACKGROUNDS), rng.random(), rng.getrandbits(31))


def confetti_caption(spec: ConfettiSpec, rng: random.Random) -> str:
    """One of the captions of a scene."""
    ground = rng.choice(BACKGROUND_WORDS[spec.background])
    *first, last = spec.colours
    said = f"{' '.join(first)} and {last}" if first else last
    shown = f"{said} confetti" if rng.random() < 0.6 else f"confetti in {said}"
    return f"on {ground} {shown}" if rng.random() < 0.15 else f"{shown} {rng.choice(('on', 'on', 'over'))} {ground}"


def render_confetti(spec: ConfettiSpec) -> Tensor:
    """Draws a scene: uint8 [3, 1, SIZE, SIZE]; edges are anti-aliased."""
    scene = empty_scene(spec.background, spec.tone, spec.pattern_seed)
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    for centre_x, centre_y, radius, colour in spec.discs:
        cover = (radius + 0.5 - torch.hypot(x - centre_x, y - centre_y)).clamp(0.0, 1.0)
        scene += cover * (torch.tensor(COLOURS[colour]).view(3, 1, 1) - scene)
    return (scene.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).unsqueeze(1)
