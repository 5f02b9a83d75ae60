"""How often generated videos show what held-out prompts say: a table by colour, motion and shape; of images, no motion.

With --first-frames each video goes on from the first frame of the clip that its prompt was worded after, and the table
says how near its own first frame is to that.

python -m bench.prompt_following --model wan-tiny --sf 10
python -m bench.prompt_following --model wan-ti2v-tiny --first-frames
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.checker import Reading, Video, read_video
from demo.prompt_files import held_out_spec
from demo.training.clips import render
from workers.measurement.fidelity import psnr
from workers.models.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
HELD_OUT = ROOT / "demo" / "prompts" / "held_out.jsonl"
CATALOGUE = ROOT / "models.toml"
ATTRIBUTES = ("colour", "motion", "shape")
FIRST_FRAME = "first frame kept"

Picture = NDArray[np.uint8]
#: (prompt, seed) to a uint8 video [frames, height, width, 3]; an image is a video of one frame.
Generate = Callable[["Prompt", int], Video]


@dataclass(frozen=True)
class Prompt:
    """A prompt, and what a video of it must show."""

    text: str
    colour: str
    motion: str
    shape: str
    first_frame: Picture | None = None


def read_prompts(path: Path, first_frames: bool = False) -> list[Prompt]:
    """The prompts of a file with one JSON object a line, if wanted with the first frames of their clips."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    prompts = [Prompt(row["prompt"], row["colour"], row["motion"], row["shape"]) for row in rows]
    if not first_frames:
        return prompts
    drawn = [render(held_out_spec(row, seed), torch.tensor([0]))[:, 0] for seed, row in enumerate(rows)]
    return [replace(p, first_frame=each.permute(1, 2, 0).numpy()) for p, each in zip(prompts, drawn, strict=True)]


def agreement(prompts: Sequence[Prompt], readings: Sequence[Reading], names: Sequence[str]) -> dict[str, float]:
    """Per cent of the prompts whose video shows the right colour, motion, shape."""
    pairs = list(zip(prompts, readings, strict=True))
    return {name: 100.0 * float(np.mean([getattr(p, name) == getattr(r, name) for p, r in pairs])) for name in names}


def generate_all(
    generate: Generate, prompts: Sequence[Prompt], each: Callable[[int, Video, Reading], None]
) -> list[Reading]:
    """A reading of the video of each prompt (seed = its line, from 0); `each` sees them as they come."""
    readings = []
    for seed, prompt in enumerate(prompts):
        video = generate(prompt, seed)
        readings.append(read_video(video))
        each(seed, video, readings[-1])
    return readings


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: a row for each attribute, a column for each way of generating."""
    lines = ["| agreement with the prompt | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name in next(iter(columns.values())):
        unit = "dB" if name == FIRST_FRAME else "%"
        lines.append(f"| {name} | " + " | ".join(f"{column[name]:.1f} {unit}" for column in columns.values()) + " |")
    return "\n".join(lines)


def generator(model: str, sf: int | None) -> Generate:
    """Generate with a model of the catalogue; `sf` None runs uncached."""
    from workers.engine.generation import generate
    from workers.engine.loaded import load_model

    catalogue = Catalogue.read(CATALOGUE)
    loaded = load_model(catalogue.entry(model), catalogue.family(model))
    full = loaded.entry.defaults.steps

    def run(prompt: Prompt, seed: int) -> Video:
        first_frame = None if prompt.first_frame is None else Image.fromarray(prompt.first_frame)
        reference = None if first_frame is None else hashlib.sha256(first_frame.tobytes()).hexdigest()
        request = catalogue.request(model, prompt.text, sf=sf or full, seed=seed, input_reference=reference)
        return generate(loaded, request, image=first_frame).frames

    return run


def save_strip(video: Video, path: Path, shown: int = 6) -> None:
    """A PNG with `shown` frames of the video side by side, first and last among them."""
    chosen = np.linspace(0, len(video) - 1, min(shown, len(video))).round().astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(list(video[chosen]), axis=1)).save(path)


def measure(
    name: str, generate: Generate, prompts: Sequence[Prompt], names: Sequence[str], out: Path
) -> dict[str, float]:
    """Agreement of one way of generating; frames and readings of every prompt go to `out/name`."""
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    kept: list[float] = []

    def each(seed: int, video: Video, reading: Reading) -> None:
        prompt = prompts[seed]
        wrong = [a for a in names if getattr(prompt, a) != getattr(reading, a)]
        if prompt.first_frame is not None:
            kept.append(psnr(video[:1], prompt.first_frame[None]))
        rows.append({"seed": seed, "prompt": prompt.text, "seen": asdict(reading), "wrong": wrong})
        save_strip(video, out / name / f"{seed:02d}.png")
        pace = (time.monotonic() - began) / (seed + 1)
        left = pace * (len(prompts) - seed - 1) / 60.0
        mistakes = ", ".join(wrong) or "as asked"
        print(f"{name} {seed + 1}/{len(prompts)}  {left:.1f} min left  {prompt.text}: {mistakes}", flush=True)

    readings = generate_all(generate, prompts, each)
    agreements = agreement(prompts, readings, names)
    if kept:
        agreements[FIRST_FRAME] = float(np.mean(kept))
    (out / name / "readings.json").write_text(json.dumps({"agreement": agreements, "prompts": rows}, indent=1))
    return agreements


def main() -> None:
    """Print the table: uncached, and with ScalingCache."""
    parser = argparse.ArgumentParser(description="Agreement of generated videos with held-out prompts.")
    parser.add_argument("--model", default="wan-tiny", help="a model of models.toml")
    parser.add_argument("--sf", type=int, default=10, help="of the accelerated column")
    parser.add_argument("--first-frames", action="store_true", help="give each prompt the first frame of its clip")
    parser.add_argument("--out", type=Path, default=Path("out/prompt_following"), help="folder for frames and readings")
    arguments = parser.parse_args()
    prompts = read_prompts(HELD_OUT, arguments.first_frames)
    still = Catalogue.read(CATALOGUE).family(arguments.model).media == "image"
    names = [name for name in ATTRIBUTES if not (still and name == "motion")]
    columns = {
        name: measure(name, generator(arguments.model, sf), prompts, names, arguments.out / arguments.model)
        for name, sf in (("uncached", None), (f"sf={arguments.sf}", arguments.sf))
    }
    print(table(columns))


if __name__ == "__main__":
    main()
