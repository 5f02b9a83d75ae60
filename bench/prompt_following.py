"""How often generated videos show what held-out prompts say: a table by colour, motion, shape and background.

Of images, no motion.

With --first-frames each video goes on from the first frame of the clip that its prompt was worded after, and the table
says how near its own first frame is to that.

With --emoji there are prompts of emoji as well, and which one a picture shows is told by `bench.retrieval`.

python -m bench.prompt_following --model wan-tiny --sf 10
python -m bench.prompt_following --model wan-ti2v-tiny --first-frames
python -m bench.prompt_following --model flux-tiny --emoji
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench import retrieval
from bench.checker import Video, read_video
from bench.program import whole
from demo.prompt_files import EMOJI, HELD_OUT, held_out_spec
from demo.training import emoji
from demo.training.clips import render
from workers.configuration import run_program
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel, load_model
from workers.files import replacing
from workers.jobs.frozen import Frozen
from workers.jobs.job import GenerationRequest
from workers.measurement.evaluation import machine
from workers.measurement.fidelity import psnr
from workers.measurement.provenance import provenance, versions
from workers.models.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "models.toml"
ATTRIBUTES = ("colour", "motion", "shape", "background")
FIRST_FRAME = "first frame kept"
READERS = [ROOT / "bench" / name for name in ("checker.py", "retrieval.py")]

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Prompt:
    """A prompt, and what a video of it must show, by name."""

    text: str
    shows: Mapping[str, str]
    lighting: str = "normal"
    seed: int = 0
    first_frame: Picture | None = None


def read_prompts(path: Path, first_frames: bool = False) -> list[Prompt]:
    """The prompts of a file with one JSON object a line, if wanted with the first frames of their clips.

    The seed of each is its line, from 0.
    """
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    prompts = [
        Prompt(
            row["prompt"],
            {name: row[name] for name in (*ATTRIBUTES, "emoji") if name in row},
            row.get("lighting", "normal"),
            seed,
        )
        for seed, row in enumerate(rows)
    ]
    if not first_frames:
        return prompts
    drawn = [render(held_out_spec(row, seed), torch.tensor([0]))[:, 0] for seed, row in enumerate(rows)]
    return [replace(p, first_frame=each.permute(1, 2, 0).numpy()) for p, each in zip(prompts, drawn, strict=True)]


@dataclass(frozen=True)
class Shown:
    """What one run showed. seconds: by stage; first_frame: dB between the given one and the video's."""

    seen: dict[str, str]
    seconds: dict[str, float]
    first_frame: float | None


class Following(Frozen):
    """One result file.

    emoji: how many of the prompts are of emoji. agreement: per cent by way of generating and attribute.
    uncached_seconds: medians by stage.
    """

    model: str
    fingerprint: str
    prompts: int
    emoji: int = 0
    agreement: dict[str, dict[str, float]]
    uncached_seconds: dict[str, float]
    provenance: dict[str, str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file. Raises `ValueError` when it is broken."""
        return cls.model_validate_json(path.read_bytes())

    def save(self, path: Path) -> None:
        """Write the file, replacing an older one in one move."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=1) + "\n")


def agreement(prompts: Sequence[Prompt], runs: Sequence[Shown], names: Iterable[str]) -> dict[str, float]:
    """Per cent of the prompts that say something of a name whose video shows it, and how well first frames are kept."""
    pairs = list(zip(prompts, runs, strict=True))
    found = {
        name: 100.0 * fmean(p.shows[name] == run.seen[name] for p, run in pairs if name in p.shows) for name in names
    }
    kept = [run.first_frame for run in runs if run.first_frame is not None]
    return found | ({FIRST_FRAME: fmean(kept)} if kept else {})


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: a row for each attribute, a column for each way of generating."""
    lines = ["| agreement with the prompt | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name in next(iter(columns.values())):
        unit = "dB" if name == FIRST_FRAME else "%"
        lines.append(f"| {name} | " + " | ".join(f"{column[name]:.1f} {unit}" for column in columns.values()) + " |")
    return "\n".join(lines)


def show(model: LoadedModel, request: GenerationRequest, prompt: Prompt, strip: Path) -> Shown:
    """Generate one video or image and read it; some of its frames go to `strip`."""
    image = None if prompt.first_frame is None else Image.fromarray(prompt.first_frame)
    made = generate(model, request, image=image)
    save_strip(made.frames, strip)
    kept = None if prompt.first_frame is None else psnr(made.frames[:1], prompt.first_frame[None])
    return Shown(read(made.frames, prompt), {str(stage): took for stage, took in made.report.timings.items()}, kept)


def read(video: Video, prompt: Prompt) -> dict[str, str]:
    """What a video shows of what its prompt says."""
    if "emoji" in prompt.shows:
        return {"emoji": retrieval.nearest(video[0])}
    return asdict(read_video(video, prompt.lighting))


def save_strip(video: Video, path: Path, shown: int = 6) -> None:
    """A PNG with `shown` frames of the video side by side, first and last among them."""
    chosen = np.linspace(0, len(video) - 1, min(shown, len(video))).round().astype(int)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(list(video[chosen]), axis=1)).save(path)


def show_all(
    catalogue: Catalogue, model: LoadedModel, prompts: Sequence[Prompt], sf: int, work: Path, say: Callable[[str], None]
) -> list[Shown]:
    """What each prompt shows. work: keeps every finished run, so that all of them go on."""
    runs = []
    for number, prompt in enumerate(prompts, 1):
        request = _asked(catalogue, model, prompt, sf)
        kept = work / f"{_identity(model, request)}.json"
        if not kept.exists():
            run = show(model, request, prompt, kept.with_suffix(".png"))
            with replacing(kept) as partial:
                partial.write_text(json.dumps(asdict(run)))
        runs.append(Shown(**json.loads(kept.read_text())))
        wrong = [name for name in attributes_of(model, [prompt]) if prompt.shows[name] != runs[-1].seen[name]]
        say(f"sf={sf} {number}/{len(prompts)}  {prompt.text}: {', '.join(wrong) or 'as asked'}  {kept.stem}")
    return runs


def save_pictures(
    catalogue: Catalogue, model: LoadedModel, prompts: Sequence[Prompt], sf: int, work: Path, output: Path
) -> None:
    """What prompts of images have shown, as `show_all` has kept it, ten in a row."""
    strips = [work / f"{_identity(model, _asked(catalogue, model, prompt, sf))}.png" for prompt in prompts]
    pictures = [Image.open(strip) for strip in strips]
    width, height = pictures[0].size
    sheet = Image.new("RGB", (10 * width, -(-len(pictures) // 10) * height), "white")
    for place, picture in enumerate(pictures):
        sheet.paste(picture, (place % 10 * width, place // 10 * height))
    sheet.save(output, quality=90)


def _asked(catalogue: Catalogue, model: LoadedModel, prompt: Prompt, sf: int) -> GenerationRequest:
    frame = prompt.first_frame
    reference = None if frame is None else hashlib.sha256(frame.tobytes()).hexdigest()
    return catalogue.request(model.entry.name, prompt.text, sf=sf, seed=prompt.seed, input_reference=reference)


def attributes_of(model: LoadedModel, prompts: Iterable[Prompt]) -> list[str]:
    """What is asked of its results: a picture cannot show motion."""
    names = dict.fromkeys(name for prompt in prompts for name in prompt.shows)
    return [name for name in names if not (model.family.media == "image" and name == "motion")]


def _identity(model: LoadedModel, request: GenerationRequest) -> str:
    """The same for two runs exactly when what they show is, and how long they take."""
    reading = [hashlib.sha256(each.read_bytes()).hexdigest() for each in READERS]
    identity = [model.version, request.model_dump(), machine(model) | versions(), reading]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


def measure(catalogue: Catalogue, model: LoadedModel, prompts: Sequence[Prompt], sf: int, work: Path) -> Following:
    """Uncached, and with an sf; prints what each prompt showed."""
    names = attributes_of(model, prompts)
    ways = {"uncached": model.entry.defaults.steps, f"sf={sf}": sf}
    runs = {
        way: show_all(catalogue, model, prompts, steps, work, lambda line: print(line, flush=True))
        for way, steps in ways.items()
    }
    stages = runs["uncached"][0].seconds
    return Following(
        model=model.entry.name,
        fingerprint=model.fingerprint,
        prompts=len(prompts),
        emoji=sum("emoji" in prompt.shows for prompt in prompts),
        agreement={way: agreement(prompts, shown, names) for way, shown in runs.items()},
        uncached_seconds={stage: median(run.seconds[stage] for run in runs["uncached"]) for stage in stages},
        provenance=provenance("python -m bench.prompt_following") | machine(model),
    )


def main() -> None:
    """Print the table: uncached, and with ScalingCache."""
    parser = argparse.ArgumentParser(description="Agreement of generated videos with held-out prompts.")
    parser.add_argument("--model", default="wan-tiny", help="a model of models.toml")
    parser.add_argument("--sf", type=whole(2), default=10, help="of the accelerated column")
    parser.add_argument("--first-frames", action="store_true", help="give each prompt the first frame of its clip")
    parser.add_argument("--emoji", action="store_true", help="prompts of emoji as well, for a model that knows them")
    parser.add_argument("--pictures", type=Path, help="file of what the prompts of emoji showed, accelerated")
    parser.add_argument("--limit", type=whole(1), help="only so many of the prompts")
    parser.add_argument("--output", type=Path, help="file of the result")
    parser.add_argument("--work", type=Path, default=Path("build/prompt_following"), help="finished runs and frames")
    arguments = parser.parse_args()
    if arguments.pictures and not arguments.emoji:
        parser.error("--pictures shows what the prompts of emoji gave, which --emoji asks for")
    catalogue = Catalogue.read(CATALOGUE)
    prompts = read_prompts(HELD_OUT, arguments.first_frames)[: arguments.limit]
    of_emoji = read_prompts(EMOJI)[: arguments.limit] if arguments.emoji else []
    if of_emoji:
        emoji.install()
        prompts += of_emoji
    model = load_model(catalogue.entry(arguments.model), catalogue.family(arguments.model))
    following = measure(catalogue, model, prompts, arguments.sf, arguments.work)
    print(table(following.agreement))
    if arguments.output:
        following.save(arguments.output)
    if of_emoji and arguments.pictures:
        save_pictures(catalogue, model, of_emoji, arguments.sf, arguments.work, arguments.pictures)


if __name__ == "__main__":
    run_program("python -m bench.prompt_following", main)
