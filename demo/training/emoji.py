"""Scenes of one emoji: Twemoji's pictures, by name, on the backgrounds of the clips.

The pictures are not kept here: `install` brings them from npm.
emoji.csv names those that are taught: well-known faces, hearts, animals, plants, food, activities, places and vehicles.
"""

from __future__ import annotations

import csv
import hashlib
import random
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from demo.training.captions import BACKGROUND_WORDS
from demo.training.clips import BACKGROUNDS, SIZE, empty_scene
from demo.training.progress import WORK
from workers.files import replacing

PACKAGE = "emoji-datasource-twitter@16.0.0"
"""Of npm: Twemoji's pictures, CC BY 4.0."""
FOLDER = WORK / "emoji"
_INSIDE = "package/img/twitter/64/"
_TABLE = Path(__file__).with_name("emoji.csv")
PLAIN = ("black", "white", "gray")
"""Backgrounds of one colour, on which an emoji's outline can be told."""
SIDE = 64
"""Of a picture, in pixels: they are drawn as they are."""
_CORNER = (SIZE - SIDE) // 2
"""Left and upper edge: in the middle, as each picture would have to be learned anew for every other place."""


@dataclass(frozen=True)
class Emoji:
    """One of those that are taught. short: another name for it, or nothing."""

    file: str
    name: str
    short: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, self.short) if self.short else (self.name,)


@dataclass(frozen=True)
class EmojiSpec:
    """Everything that decides the pixels of a scene."""

    emoji: Emoji
    background: str
    tone: float
    pattern_seed: int


@cache
def taught() -> tuple[Emoji, ...]:
    """All emoji of the table."""
    with _TABLE.open() as file:
        return tuple(Emoji(**row) for row in csv.DictReader(file))


def words() -> list[str]:
    """What their names are made of."""
    return sorted({word for emoji in taught() for name in emoji.names for word in name.split()})


def is_held_out(emoji: Emoji, background: str) -> bool:
    """Whether the combination is kept from training: one plain background of each emoji is."""
    return background == PLAIN[hashlib.sha256(emoji.name.encode()).digest()[0] % len(PLAIN)]


def emoji_spec(seed: int) -> EmojiSpec:
    """The training scene of a seed: never a held-out combination."""
    rng = random.Random(f"emoji {seed}")
    while True:
        emoji, background = rng.choice(taught()), rng.choice(BACKGROUNDS)
        if not is_held_out(emoji, background):
            break
    return EmojiSpec(emoji, background, rng.random(), rng.getrandbits(31))


def phrase(name: str) -> str:
    """A name with its article, which goes by what comes before "with", "of" and the like."""
    head = re.split(" (?:with|of|in|over|and) ", name)[0].split()[-1]
    if head.endswith("s") and not head.endswith(("ss", "us")):
        return name
    vowel = name.startswith(("a", "e", "i", "o", "u", "hour")) and not name.startswith("eu")
    return f"{'an' if vowel else 'a'} {name}"


def emoji_caption(spec: EmojiSpec, rng: random.Random) -> str:
    """One of the captions of a scene; some say nothing of what is behind the emoji."""
    shown = phrase(rng.choice(spec.emoji.names))
    ground = rng.choice(BACKGROUND_WORDS[spec.background])
    roll = rng.random()
    if roll < 0.1:
        return shown
    if roll < 0.2:
        return f"on {ground} {shown}"
    if roll < 0.3:
        return f"a picture of {shown} in front of {ground}"
    return f"{shown} {rng.choice(('on', 'on', 'over', 'in front of'))} {ground}"


def install() -> None:
    """The pictures of all taught emoji into FOLDER, where they are not there yet.

    Ends the program where npm is missing or does not get the package.
    """
    if all((FOLDER / emoji.file).exists() for emoji in taught()):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    asked = ("npm", "pack", PACKAGE, "--loglevel=error", "--pack-destination", str(FOLDER))
    try:
        name = subprocess.run(asked, check=True, text=True, stdout=subprocess.PIPE).stdout.split()[-1]
    except FileNotFoundError:
        raise SystemExit(
            f"the pictures of emoji come from the npm package {PACKAGE}, and npm is not installed"
        ) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"npm did not get {PACKAGE}, from which the pictures of emoji come; it says why above"
        ) from error
    wanted = {_INSIDE + emoji.file: FOLDER / emoji.file for emoji in taught()}
    with tarfile.open(FOLDER / name) as package:
        for member in package:
            content = package.extractfile(member) if member.name in wanted else None
            if content:
                with replacing(wanted[member.name]) as partial, partial.open("wb") as file:
                    shutil.copyfileobj(content, file)
    (FOLDER / name).unlink()


@cache
def picture(emoji: Emoji) -> Image.Image:
    """RGBA, SIDE pixels a side. Raises `FileNotFoundError` before `install`."""
    return Image.open(FOLDER / emoji.file).convert("RGBA")


def render_emoji(spec: EmojiSpec) -> Tensor:
    """Draws a scene: uint8 [3, 1, SIZE, SIZE]."""
    drawn = np.asarray(picture(spec.emoji), np.float32) / 255.0
    scene = empty_scene(spec.background, spec.tone, spec.pattern_seed)
    middle = slice(_CORNER, _CORNER + SIDE)
    behind = scene[:, middle, middle]
    layers = torch.from_numpy(drawn).permute(2, 0, 1)
    behind += layers[3] * (layers[:3] - behind)
    return (scene.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).unsqueeze(1)
