"""How often generated videos show what held-out prompts say: a table by colour, motion and shape.

python -m bench.prompt_following --model wan-tiny --sf 10
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.checker import Reading, Video, read_video

ROOT = Path(__file__).parents[1]
HELD_OUT = ROOT / "demo" / "prompts" / "held_out.jsonl"
ATTRIBUTES = ("colour", "motion", "shape")

Generate = Callable[[str, int], Video]
"""(prompt, seed) to a uint8 video [frames, height, width, 3]."""


@dataclass(frozen=True)
class Prompt:
    """A prompt, and what a video of it must show."""

    text: str
    colour: str
    motion: str
    shape: str


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file with one JSON object a line."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Prompt(row["prompt"], row["colour"], row["motion"], row["shape"]) for row in rows]


def agreement(prompts: Sequence[Prompt], readings: Sequence[Reading]) -> dict[str, float]:
    """Per cent of the prompts whose video shows the right colour, motion, shape."""
    pairs = list(zip(prompts, readings, strict=True))
    return {
        name: 100.0 * float(np.mean([getattr(p, name) == getattr(r, name) for p, r in pairs])) for name in ATTRIBUTES
    }


def generate_all(
    generate: Generate, prompts: Sequence[Prompt], each: Callable[[int, Video, Reading], None]
) -> list[Reading]:
    """A reading of the video of each prompt (seed = its line, from 0); `each` sees them as they come."""
    readings = []
    for seed, prompt in enumerate(prompts):
        video = generate(prompt.text, seed)
        readings.append(read_video(video))
        each(seed, video, readings[-1])
    return readings


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: a row for each attribute, a column for each way of generating."""
    lines = ["| agreement with the prompt | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name in ATTRIBUTES:
        lines.append(f"| {name} | " + " | ".join(f"{column[name]:.1f} %" for column in columns.values()) + " |")
    return "\n".join(lines)


def generator(model: str, sf: int | None) -> Generate:
    """Generates with a model of the catalogue; `sf` None runs uncached."""
    from workers.generation import generate
    from workers.loaded import load_model
    from workers.models.catalogue import Catalogue

    catalogue = Catalogue.read(ROOT / "models.toml")
    loaded = load_model(catalogue.entry(model), catalogue.family(model))
    full = loaded.entry.defaults.steps

    def run(prompt: str, seed: int) -> Video:
        return generate(loaded, catalogue.request(model, prompt, sf=sf or full, seed=seed)).frames

    return run


def save_strip(video: Video, path: Path, shown: int = 6) -> None:
    """A PNG with `shown` frames of the video side by side, first and last among them."""
    from PIL import Image

    chosen = np.linspace(0, len(video) - 1, shown).round().astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(list(video[chosen]), axis=1)).save(path)


def measure(name: str, generate: Generate, prompts: Sequence[Prompt], out: Path) -> dict[str, float]:
    """Agreement of one way of generating; frames and readings of every prompt go to `out/name`."""
    began = time.monotonic()
    rows: list[dict[str, Any]] = []

    def each(seed: int, video: Video, reading: Reading) -> None:
        prompt = prompts[seed]
        wrong = [a for a in ATTRIBUTES if getattr(prompt, a) != getattr(reading, a)]
        rows.append({"seed": seed, "prompt": prompt.text, "seen": asdict(reading), "wrong": wrong})
        save_strip(video, out / name / f"{seed:02d}.png")
        pace = (time.monotonic() - began) / (seed + 1)
        left = pace * (len(prompts) - seed - 1) / 60.0
        said = ", ".join(wrong) or "as asked"
        print(f"{name} {seed + 1}/{len(prompts)}  {left:.1f} min left  {prompt.text}: {said}", flush=True)

    found = agreement(prompts, generate_all(generate, prompts, each))
    (out / name / "readings.json").write_text(json.dumps({"agreement": found, "prompts": rows}, indent=1))
    return found


def main() -> None:
    """Prints the table: uncached, and with ScalingCache."""
    parser = argparse.ArgumentParser(description="Agreement of generated videos with held-out prompts.")
    parser.add_argument("--model", default="wan-tiny", help="a model of models.toml")
    parser.add_argument("--sf", type=int, default=10, help="of the accelerated column")
    parser.add_argument("--out", type=Path, default=Path("out/prompt_following"), help="folder for frames and readings")
    arguments = parser.parse_args()
    prompts = read_prompts(HELD_OUT)
    columns = {
        name: measure(name, generator(arguments.model, sf), prompts, arguments.out)
        for name, sf in (("uncached", None), (f"sf={arguments.sf}", arguments.sf))
    }
    print(table(columns))


if __name__ == "__main__":
    main()
