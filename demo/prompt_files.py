"""Writes the prompt files: held-out combinations for evaluation, trained ones for calibration, and first frames."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path

import torch

from demo.training.captions import plain_caption
from demo.training.clips import (
    BACKGROUNDS,
    COLOURS,
    LIGHTINGS,
    MOTIONS,
    SHAPES,
    ClipSpec,
    is_held_out,
    plain_spec,
    render,
    training_spec,
)
from demo.training.emoji import PLAIN, phrase, taught
from demo.training.emoji import is_held_out as is_kept
from workers.media.png import write_png

FOLDER = Path(__file__).parent / "prompts"
HELD_OUT = FOLDER / "held_out.jsonl"
EMOJI = FOLDER / "emoji.jsonl"
CALIBRATION = FOLDER / "calibration.txt"
#: A folder of pictures, and beside it the prompt files that name them.
FIRST_FRAMES = FOLDER / "first_frames"
SEED = 20261123
COUNT = 60
EMOJI_COUNT = 100
#: The first half moves a lot or has busy scenes, the last six hardly vary at all.
CALIBRATION_PROMPTS = """\
# group: moving
a red circle moves to the right on a black background
a blue square moves up and to the left on a sandy background
a yellow triangle moves down on a checkered background, in dim light
a cyan cross moves to the left on a striped background, in warm light
a magenta circle grows on a gray background
a green square shrinks on a white background, in cool light
a green triangle moves down and to the right on a black background, in bright light
a blue circle moves up on a gray background
a red cross moves up and to the right on a white background
a yellow square moves to the right and a blue circle moves up on a striped background
a magenta striped square moves down and to the left on a gray background
a cyan dotted circle moves to the right on a sandy background, in dim light
a red triangle moves to the left and a green circle moves to the right on a gray background
a yellow circle falls over a striped wall, in cool light
# group: still
a red square stays still on a black background
a blue triangle stays still on a white background
a green circle stays still on a gray background, in dim light
a magenta cross stays still on a sandy background
a magenta square stays still on a checkered background
a cyan triangle stays still on a striped background, in bright light
"""


def held_out_prompts() -> list[dict[str, str]]:
    """COUNT combinations that training never saw, colours, motions and shapes as even as chance allows."""
    rng = random.Random(SEED)
    left = [c for c in product(COLOURS, SHAPES, MOTIONS, BACKGROUNDS) if is_held_out(*c)]
    rng.shuffle(left)
    rows: list[dict[str, str]] = []
    used: dict[str, int] = {}
    while len(rows) < COUNT:
        best = min(
            left,
            key=lambda c: sum(used.get(word, 0) / weight for word, weight in zip(c, (10, 15, 6, 10), strict=False)),
        )
        left.remove(best)
        for word in best:
            used[word] = used.get(word, 0) + 1
        colour, shape, motion, background = best
        lighting = "normal" if rng.random() < 0.6 else rng.choice(tuple(LIGHTINGS)[1:])
        spec = plain_spec(colour, shape, motion, background, lighting, seed=len(rows))
        attributes = {
            "colour": colour,
            "shape": shape,
            "motion": motion,
            "background": background,
            "lighting": lighting,
        }
        rows.append({"prompt": plain_caption(spec), **attributes})
    return rows


def emoji_prompts() -> list[dict[str, str]]:
    """EMOJI_COUNT emoji, each on the plain background that training never had it on."""
    left = [(each, ground) for each in taught() for ground in PLAIN if is_kept(each, ground)]
    random.Random(SEED).shuffle(left)
    return [
        {"prompt": f"{phrase(each.name)} on a {ground} background", "emoji": each.name}
        for each, ground in left[:EMOJI_COUNT]
    ]


def held_out_spec(row: dict[str, str], seed: int) -> ClipSpec:
    """The clip that a held-out prompt was worded after; `seed` is its line, from 0."""
    return plain_spec(row["colour"], row["shape"], row["motion"], row["background"], row["lighting"], seed)


def write_first_frames(rows: list[dict[str, str]]) -> None:
    """20 first frames of trained clips of one object for calibration, and those of 8 held-out prompts for the bench."""
    trained = [spec for spec in map(training_spec, range(40)) if len(spec.objects) == 1][:20]
    bench = [held_out_spec(row, seed) for seed, row in enumerate(rows[:8])]
    FIRST_FRAMES.mkdir(exist_ok=True)
    for name, specs in (("calibration", trained), ("bench", bench)):
        lines = []
        for index, spec in enumerate(specs):
            picture = FIRST_FRAMES / f"{name}-{index:02d}.png"
            write_png(picture, render(spec, torch.tensor([0]))[:, 0].permute(1, 2, 0).numpy())
            lines.append(f"{plain_caption(spec)}\t{picture.relative_to(FOLDER)}\n")
        (FOLDER / f"{name}_first_frames.txt").write_text("".join(lines))


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    rows = held_out_prompts()
    HELD_OUT.write_text("".join(json.dumps(row) + "\n" for row in rows))
    EMOJI.write_text("".join(json.dumps(row) + "\n" for row in emoji_prompts()))
    CALIBRATION.write_text(CALIBRATION_PROMPTS)
    write_first_frames(rows)


if __name__ == "__main__":
    main()
