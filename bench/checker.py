"""What a decoded video shows, by measurement: colour, motion and shape of its one coloured object, and what is behind.

Backgrounds of the demo clips are nearly gray, so the object is where the picture is
colourful. Nothing here knows of models; videos are uint8 arrays [frames, height, width, 3].
A background is read under the light that the prompt asks for: white in dim light is as bright as gray.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from demo.training.clips import LIGHTINGS, signed_distance

Video = NDArray[np.uint8]

#: Degrees on the colour circle.
HUES = {"red": 0, "yellow": 60, "green": 120, "cyan": 180, "blue": 240, "magenta": 300}
#: Part of its bounding box that each shape covers.
FILLS = {"square": 1.0, "circle": 0.785, "triangle": 0.5, "cross": 0.36}
#: Directions by 45 degree steps in image coordinates (y downwards).
SECTORS = ("right", "down-right", "down", "down-left", "left", "up-left", "up", "up-right")
#: Largest minus smallest channel, of 255, below which nothing counts as coloured.
MIN_CHROMA = 45.0
#: Path of the centroid, as a part of the picture's side, below which the object stays.
MIN_MOVE = 0.12
#: Ratio of areas between the ends of the video from which the object grows or shrinks.
MIN_GROWTH = 1.6
#: Brightness of plain backgrounds, 0 to 1.
PLAIN = {"black": 0.125, "gray": 0.5, "white": 0.875}
#: Deviation of a background's brightness from which it has a pattern, or what should not be there.
MIN_PATTERN = 0.045
#: Side of the fields of a checkered background, as a part of the picture's.
FIELD = 1 / 6
#: Pixels around the object that are not yet background: edges ring.
BORDER = 4


@dataclass(frozen=True)
class Reading:
    """What the checker sees; `none` where there is no coloured object."""

    colour: str
    motion: str
    shape: str
    background: str


def object_mask(frame: NDArray[np.uint8], threshold: float) -> NDArray[np.bool_]:
    """Pixels [height, width] whose chroma passes the threshold, cut down to the largest connected piece."""
    picture = frame.astype(np.float32)
    coloured = picture.max(-1) - picture.min(-1) > threshold
    return _largest_piece(coloured)


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from skimage.measure import label

    pieces = label(mask, connectivity=2)
    if pieces.max() == 0:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    piece: NDArray[np.bool_] = pieces == sizes.argmax()
    return piece


def read_video(video: Video, lighting: str = "normal") -> Reading:
    """What a video shows. lighting: one of `LIGHTINGS`, that its background is seen under."""
    picture = video.astype(np.float32)
    chroma = picture.max(-1) - picture.min(-1)
    threshold = max(MIN_CHROMA, 0.5 * float(np.percentile(chroma, 99.0)))
    masks = [object_mask(frame, threshold) for frame in video]
    seen = [index for index, mask in enumerate(masks) if mask.sum() >= 12]
    background = background_of(video, masks, lighting)
    if len(seen) < max(1, len(video) // 2):
        return Reading("none", "none", "none", background)
    return Reading(
        colour_of(np.concatenate([video[i][masks[i]] for i in seen])),
        motion_of([masks[i] for i in seen]),
        shape_of([masks[i] for i in seen]),
        background,
    )


def background_of(video: Video, masks: list[NDArray[np.bool_]], lighting: str) -> str:
    """Which background it is: by brightness where it is even, else by how its brightness varies."""
    from skimage.morphology import isotropic_dilation

    gain, lift = LIGHTINGS[lighting]
    brightness = ((video / 255.0 - lift) / np.array(gain)).mean(-1)
    hidden = np.stack([isotropic_dilation(mask, BORDER) for mask in masks])
    seen = (~hidden).sum(0)
    picture = np.where(hidden, 0.0, brightness).sum(0) / np.maximum(seen, 1)
    known = seen > 0
    if not known.any():
        return "none"
    deviation = float(picture[known].std())
    if deviation < MIN_PATTERN:
        level = float(picture[known].mean())
        return min(PLAIN, key=lambda name: abs(level - PLAIN[name]))
    likeness = {name: _likeness(picture, known, pattern) for name, pattern in _patterns(*picture.shape).items()}
    best = max(likeness, key=lambda name: likeness[name])
    return best if likeness[best] > 0.5 else "sandy"


def _patterns(height: int, width: int) -> dict[str, NDArray[np.float64]]:
    """The patterns that are always the same, [height, width]."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    odd = (np.floor(columns / (FIELD * width)) + np.floor(rows / (FIELD * height))) % 2
    return {"checkered": odd, "striped": np.tanh(3.0 * np.sin(2.0 * np.pi * columns / (FIELD * width)))}


def _likeness(picture: NDArray[np.float64], known: NDArray[np.bool_], pattern: NDArray[np.float64]) -> float:
    """Correlation of a picture with a pattern where it is known."""
    return float(np.corrcoef(picture[known], pattern[known])[0, 1])


def colour_of(pixels: NDArray[np.uint8]) -> str:
    """Name of the hue nearest to the mean colour of pixels [n, 3]."""
    red, green, blue = (float(value) / 255.0 for value in np.median(pixels, axis=0))
    hue = 360.0 * colorsys.rgb_to_hsv(red, green, blue)[0]
    return min(HUES, key=lambda name: abs((hue - HUES[name] + 180.0) % 360.0 - 180.0))


def motion_of(masks: list[NDArray[np.bool_]]) -> str:
    """Direction of the centroid from the first to the last masks, or grows, shrinks, still."""
    ends = max(1, len(masks) // 8)
    first, last = masks[:ends], masks[-ends:]
    move = np.mean([_centroid(m) for m in last], axis=0) - np.mean([_centroid(m) for m in first], axis=0)
    if math.hypot(*move) >= MIN_MOVE * masks[0].shape[0]:
        angle = math.degrees(math.atan2(move[1], move[0]))
        return SECTORS[round(angle / 45.0) % 8]
    growth = float(np.mean([m.sum() for m in last]) / np.mean([m.sum() for m in first]))
    if growth >= MIN_GROWTH:
        return "grows"
    return "shrinks" if growth <= 1.0 / MIN_GROWTH else "still"


def _centroid(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """(x, y) in pixels."""
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())


def shape_of(masks: list[NDArray[np.bool_]]) -> str:
    """Shape that fits the object best, over all frames.

    How much of its bounding box an object covers would be less work, but one stray pixel makes the box larger, and a
    blurred square a circle.
    """
    fits = {name: float(np.mean([_fit(mask, name) for mask in masks])) for name in FILLS}
    return max(fits, key=lambda name: fits[name])


def _fit(mask: NDArray[np.bool_], shape: str) -> float:
    """Intersection over union of a mask with a shape of the same area and centroid."""
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    half = 0.5 * math.sqrt(mask.sum() / FILLS[shape])
    x, y = _centroid(mask)
    if shape == "triangle":
        y -= half / 3  # its centroid is below the middle of its box
    ideal = signed_distance(shape, torch.tensor(columns - x), torch.tensor(rows - y), torch.tensor(half)).numpy() < 0
    return float((ideal & mask).sum() / (ideal | mask).sum())
