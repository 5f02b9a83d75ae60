"""Scenes of one letter: thin strokes in one of the colours, on the backgrounds of the clips."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from demo.training.captions import BACKGROUND_WORDS
from demo.training.clips import BACKGROUNDS, COLOURS, SIZE, empty_scene

LETTERS = string.ascii_lowercase
"""As prompts say them; they are drawn as capitals, which differ more."""
WORDS = ("letter", *LETTERS)
_FONT_SIZE = 72


@dataclass(frozen=True)
class LetterSpec:
    """Everything that decides the pixels of a scene."""

    letter: str
    colour: str
    background: str
    tone: float
    pattern_seed: int


def letter_spec(seed: int) -> LetterSpec:
    """The training scene of a seed."""
    rng = random.Random(f"letter {seed}")
    letter, colour, background = rng.choice(LETTERS), rng.choice(tuple(COLOURS)), rng.choice(BACKGROUNDS)
    return LetterSpec(letter, colour, background, rng.random(), rng.getrandbits(31))


def letter_caption(spec: LetterSpec, rng: random.Random) -> str:
    """One of the captions of a scene."""
    ground = rng.choice(BACKGROUND_WORDS[spec.background])
    shown = rng.choice((f"a {spec.colour} letter {spec.letter}", f"the letter {spec.letter} in {spec.colour}"))
    return f"on {ground} {shown}" if rng.random() < 0.15 else f"{shown} {rng.choice(('on', 'on', 'over'))} {ground}"


@cache
def strokes(letter: str) -> Tensor:
    """How far each pixel is covered, [SIZE, SIZE], 0 to 1: in Pillow's own font, in the middle."""
    drawn = Image.new("L", (SIZE, SIZE))
    place = (SIZE / 2, SIZE / 2)
    ImageDraw.Draw(drawn).text(place, letter.upper(), 255, ImageFont.load_default(_FONT_SIZE), anchor="mm")
    return torch.from_numpy(np.asarray(drawn, np.float32) / 255.0)


def render_letter(spec: LetterSpec) -> Tensor:
    """Draws a scene: uint8 [3, 1, SIZE, SIZE]."""
    scene = empty_scene(spec.background, spec.tone, spec.pattern_seed)
    scene += strokes(spec.letter) * (torch.tensor(COLOURS[spec.colour]).view(3, 1, 1) - scene)
    return (scene.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).unsqueeze(1)
