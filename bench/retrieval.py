"""Which emoji a picture shows: of all that are taught, the one whose picture is nearest, by a fixed feature.

The feature is what stands out from a plain background, in its bounding box, as a small picture on that background, with
the box's proportions. Nothing here knows what was asked for.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.training.emoji import Emoji, picture, taught

SIDE = 24
"""Of the feature, in pixels."""
OFF = 28.0
"""How far, of 255, a channel is from the background's where there is something."""
PROPORTIONS = 40.0
"""What a box twice as wide counts for, in units of a channel."""

Pixels = NDArray[np.uint8]
Feature = NDArray[np.float32]


def nearest(shown: Pixels) -> str:
    """Name of the emoji in a picture `[height, width, 3]` of one on a plain background; `none` where nothing is."""
    ground = _ground(shown)
    feature = _feature(shown, ground)
    if feature is None:
        return "none"
    distances = [float(np.square(feature - each).mean()) for each in _features(tuple(ground.tolist()))]
    return taught()[int(np.argmin(distances))].name


def _ground(shown: Pixels) -> Pixels:
    """Its background's colour, by the middle one of its edge."""
    edge = np.concatenate([shown[:2].reshape(-1, 3), shown[-2:].reshape(-1, 3), shown[:, :2].reshape(-1, 3)])
    colour: Pixels = np.median(edge, axis=0).astype(np.uint8)
    return colour


def _feature(shown: Pixels, ground: Pixels) -> Feature | None:
    apart = np.abs(shown.astype(np.float32) - ground).max(-1) > OFF
    rows, columns = (np.nonzero(apart.sum(axis) >= 2)[0] for axis in (1, 0))
    if not (len(rows) and len(columns)):
        return None
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    small = Image.fromarray(shown).resize((SIDE, SIDE), Image.Resampling.BOX, box=box)
    proportions = PROPORTIONS * np.log2((box[2] - box[0]) / (box[3] - box[1])) * SIDE
    return np.append(np.asarray(small, np.float32).ravel(), np.float32(proportions))


@cache
def _features(ground: tuple[int, int, int]) -> list[Feature]:
    """Of all taught emoji on a background."""
    return [_of(emoji, np.array(ground, np.uint8)) for emoji in taught()]


def _of(emoji: Emoji, ground: Pixels) -> Feature:
    drawn = np.asarray(picture(emoji), np.float32)
    cover = drawn[..., 3:] / 255.0
    shown = (ground + cover * (drawn[..., :3] - ground)).round().astype(np.uint8)
    feature = _feature(shown, ground)
    # What is as gray as its background is told by nothing but that.
    return feature if feature is not None else np.zeros(3 * SIDE * SIDE + 1, np.float32)
