"""Procedural clips: coloured shapes that move over plain or patterned backgrounds.

A clip is a pure function of its `ClipSpec`, and a training spec is a pure function of
its seed. Shapes are drawn from signed distance functions, so edges are anti-aliased
and motion is smooth below one pixel.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

SIZE = 96
"""Side of a clip in pixels."""
FRAMES = 33
"""Frames of a clip; 4k + 1, as the causal VAE wants."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.92, 0.10, 0.10),
    "yellow": (0.92, 0.92, 0.08),
    "green": (0.08, 0.80, 0.08),
    "cyan": (0.08, 0.88, 0.88),
    "blue": (0.12, 0.12, 0.95),
    "magenta": (0.90, 0.08, 0.90),
}
SHAPES = ("square", "circle", "triangle", "cross")
DIRECTIONS: dict[str, tuple[int, int]] = {
    "right": (1, 0),
    "down-right": (1, 1),
    "down": (0, 1),
    "down-left": (-1, 1),
    "left": (-1, 0),
    "up-left": (-1, -1),
    "up": (0, -1),
    "up-right": (1, -1),
}
"""Unit steps (x, y) in image coordinates: y grows downwards."""
MOTIONS = (*DIRECTIONS, "still", "grows", "shrinks")
BACKGROUNDS = ("black", "white", "gray", "checkered", "striped", "sandy")
LIGHTINGS: dict[str, tuple[tuple[float, float, float], float]] = {
    "normal": ((1.0, 1.0, 1.0), 0.0),
    "bright": ((0.78, 0.78, 0.78), 0.22),
    "dim": ((0.5, 0.5, 0.5), 0.0),
    "warm": ((1.0, 0.9, 0.72), 0.0),
    "cool": ((0.78, 0.9, 1.0), 0.0),
}
"""Gain per channel and lift, applied to the finished picture."""
TEXTURES = ("plain", "striped", "dotted")
OUTLINED = "outlined"
"""A texture of pictures alone: the outline is drawn, two pixels wide, and nothing in it."""

CROSS_ARM = 0.2
"""Width of a cross's arm as a part of its box: it fills 0.36 of the box."""
MARGIN = 2.0
"""Pixels that always stay free between an object and the edge."""
MIN_TRAVEL = 34.0
"""Pixels that a moving object travels at least, along each axis it moves on."""


@dataclass(frozen=True)
class ObjectSpec:
    """One object: what it is, and its centre (x, y) and half size, in pixels, at both ends of the clip."""

    colour: str
    shape: str
    motion: str
    texture: str
    start: tuple[float, float]
    end: tuple[float, float]
    half_sizes: tuple[float, float]


@dataclass(frozen=True)
class ClipSpec:
    """Everything that decides the pixels of a clip."""

    objects: tuple[ObjectSpec, ...]
    background: str
    lighting: str
    tone: float
    """Brightness of the background within its kind, 0 to 1."""
    pattern_seed: int


def is_held_out(colour: str, shape: str, motion: str, background: str) -> bool:
    """Whether the combination is kept from training (about one in ten are)."""
    digest = hashlib.sha256(f"{colour}/{shape}/{motion}/{background}".encode()).digest()
    return digest[0] % 10 == 0


def place(colour: str, shape: str, motion: str, texture: str, rng: random.Random) -> ObjectSpec:
    """An object with a random size and path that shows `motion` clearly and stays in frame."""
    half = rng.uniform(13.0, 18.0)
    halves = (half, half)
    if motion in ("grows", "shrinks"):
        small, large = rng.uniform(8.0, 10.0), rng.uniform(19.0, 23.0)
        halves = (small, large) if motion == "grows" else (large, small)
    low, high = max(halves) + MARGIN, SIZE - max(halves) - MARGIN
    start, end = [], []
    for sign in DIRECTIONS.get(motion, (0, 0)):
        travel = rng.uniform(MIN_TRAVEL, high - low) if sign else 0.0
        first = rng.uniform(low, high - travel)
        ends = (first, first + travel)
        start.append(ends[0] if sign >= 0 else ends[1])
        end.append(ends[1] if sign >= 0 else ends[0])
    return ObjectSpec(colour, shape, motion, texture, (start[0], start[1]), (end[0], end[1]), halves)


def training_spec(seed: int) -> ClipSpec:
    """The training clip of a seed: never a held-out combination; one in seven has two objects."""
    rng = random.Random(seed)
    background = rng.choice(BACKGROUNDS)
    lighting = "normal" if rng.random() < 0.5 else rng.choice(tuple(LIGHTINGS)[1:])
    objects: list[ObjectSpec] = []
    count = 2 if rng.random() < 0.14 else 1
    while len(objects) < count:
        colour, shape, motion = rng.choice(tuple(COLOURS)), rng.choice(SHAPES), rng.choice(MOTIONS)
        if is_held_out(colour, shape, motion, background) or colour in [o.colour for o in objects]:
            continue
        texture = "plain" if rng.random() < 0.85 else rng.choice(TEXTURES[1:])
        objects.append(place(colour, shape, motion, texture, rng))
    return ClipSpec(tuple(objects), background, lighting, rng.random(), rng.getrandbits(31))


@cache
def clips_of(shape: str, clips: int) -> tuple[int, ...]:
    """Seeds of the training clips, of so many, that show a shape."""
    return tuple(seed for seed in range(clips) if any(o.shape == shape for o in training_spec(seed).objects))


def plain_spec(colour: str, shape: str, motion: str, background: str, lighting: str, seed: int) -> ClipSpec:
    """A clip of one untextured object with the given attributes; the rest is drawn from `seed`."""
    rng = random.Random(seed)
    thing = place(colour, shape, motion, "plain", rng)
    return ClipSpec((thing,), background, lighting, rng.random(), rng.getrandbits(31))


def signed_distance(shape: str, x: Tensor, y: Tensor, half: Tensor) -> Tensor:
    """Signed distance in pixels to a shape that fills the box [-half, half]^2; negative inside."""
    ax, ay = x.abs(), y.abs()
    if shape == "square":
        return torch.maximum(ax, ay) - half
    if shape == "circle":
        return torch.sqrt(x * x + y * y) - half
    if shape == "triangle":
        return torch.maximum(y - half, (2.0 * ax - (y + half)) / 5.0**0.5)
    arm = CROSS_ARM * half
    upright = torch.maximum(ax - arm, ay - half)
    level = torch.maximum(ax - half, ay - arm)
    return torch.minimum(upright, level)


def _shade(texture: str, x: Tensor, y: Tensor, half: Tensor) -> Tensor:
    """Brightness of an object's surface, 0.55 on the dark parts of its texture."""
    if texture == "striped":
        dark = torch.sigmoid(4.0 * torch.sin((x + y) * (torch.pi / 5.0)))
    elif texture == "dotted":
        dark = torch.sigmoid(6.0 * (torch.sin(x * (torch.pi / 5.0)) * torch.sin(y * (torch.pi / 5.0)) - 0.3))
    else:
        return torch.ones_like(x + half)
    return 1.0 - 0.45 * dark


def empty_scene(kind: str, tone: float, pattern_seed: int) -> Tensor:
    """A background alone, [3, SIZE, SIZE], 0 to 1, nearly without colour; its kind, and what `ClipSpec` has of it."""
    generator = torch.Generator().manual_seed(pattern_seed)
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    tint = torch.ones(3, 1, 1)
    if kind == "black":
        level = torch.full_like(x, 0.10 + 0.05 * tone)
    elif kind == "white":
        level = torch.full_like(x, 0.85 + 0.05 * tone)
    elif kind == "gray":
        level = torch.full_like(x, 0.4 + 0.2 * tone)
    elif kind == "checkered":
        odd = ((x // 16).int() + (y // 16).int()) % 2
        level = 0.25 + 0.1 * tone + 0.35 * odd.float()
    elif kind == "striped":
        level = 0.45 + 0.1 * tone + 0.22 * torch.sin(x * (2.0 * torch.pi / 16.0)).mul(3.0).tanh()
    else:
        coarse = torch.rand(1, 1, 12, 12, generator=generator)
        grain = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic", align_corners=False)[0, 0]
        level = 0.5 + 0.12 * tone + 0.35 * (grain - 0.5)
        tint = torch.tensor([1.0, 0.93, 0.82]).view(3, 1, 1)
    return (tint * level).clamp(0.0, 1.0)


def render(spec: ClipSpec, frames: Tensor | None = None) -> Tensor:
    """Draws a clip.

    Args:
        frames: indices of the frames to draw; all FRAMES by default.

    Returns:
        uint8 tensor [3, len(frames), SIZE, SIZE].
    """
    frames = torch.arange(FRAMES) if frames is None else frames
    progress = (frames.float() / (FRAMES - 1)).view(-1, 1, 1)
    y, x = torch.arange(SIZE).view(1, -1, 1) + 0.5, torch.arange(SIZE).view(1, 1, -1) + 0.5
    picture = empty_scene(spec.background, spec.tone, spec.pattern_seed).unsqueeze(1).repeat(1, len(frames), 1, 1)
    for thing in spec.objects:
        (x0, y0), (x1, y1), (h0, h1) = thing.start, thing.end, thing.half_sizes
        dx, dy = x - (x0 + (x1 - x0) * progress), y - (y0 + (y1 - y0) * progress)
        half = h0 + (h1 - h0) * progress
        distance = signed_distance(thing.shape, dx, dy, half)
        if thing.texture == OUTLINED:
            distance = (distance + 1.0).abs() - 1.0
        cover = (0.5 - distance).clamp(0.0, 1.0)
        shade = _shade(thing.texture, dx, dy, half)
        colour = torch.tensor(COLOURS[thing.colour]).view(3, 1, 1, 1)
        picture = picture + cover * (colour * shade - picture)
    gain, lift = LIGHTINGS[spec.lighting]
    picture = picture * torch.tensor(gain).view(3, 1, 1, 1) + lift
    return (picture.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def to_model_range(clip: Tensor) -> Tensor:
    """uint8 pixels to float32 from -1 to 1, as the VAE wants them."""
    return clip.float() / 127.5 - 1.0
