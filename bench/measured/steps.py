"""What is measured of each demo checkpoint, in order: coefficients before the evaluations that use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.measurement.prompts import read_prompts
from workers.models.catalogue import Catalogue

PROMPTS = Path("demo/prompts")
HELD_OUT = PROMPTS / "held_out.jsonl"
CHECKER = Path("bench/checker.py")
EMOJI = [PROMPTS / "emoji.jsonl", Path("bench/retrieval.py"), Path("demo/training/emoji.csv")]


@dataclass(frozen=True)
class Measured:
    """What is particular to measuring one checkpoint.

    calibration, bench: its prompt files. image_calibration: with first frames, where it also goes on from those.
    seeds: of the paper's coefficients, for each prompt; fewer than 5 where a run takes long on two cores.
    plans: how many prompts choose its plans. sf: of its evaluation; all of the command's when empty.
    emoji: whether it was taught them.
    quoted: benches that pages quote, each with options.
    """

    calibration: str = "calibration.txt"
    bench: str = "bench.txt"
    image_calibration: str | None = None
    seeds: int = 5
    plans: int = 12
    sf: tuple[int, ...] = ()
    emoji: bool = False
    quoted: tuple[tuple[str, tuple[str, ...]], ...] = ()


MODELS = {
    "wan-tiny": Measured(seeds=3, quoted=(("bench.interval_settings", ()), ("bench.watched_tokens", ()))),
    "flux-tiny": Measured(
        calibration="calibration_pictures.txt",
        bench="bench_pictures.txt",
        emoji=True,
        quoted=(("bench.resampling", ()),),
    ),
    "hunyuan-tiny": Measured(),
    "wan-ti2v-tiny": Measured(
        bench="bench_first_frames.txt",
        image_calibration="calibration_first_frames.txt",
        seeds=2,
        plans=6,
        sf=(4, 6, 10, 14),
    ),
}
RUNS = 8
_FROM = {"": "", ".image": ", from first frames"}
PAPER_SF = (4, 10, 20)


@dataclass(frozen=True)
class Step:
    """One command, of modules as `python -m` takes them.

    settings, inputs: the model's, and the files, that its outputs depend on. printed: an output that is what it prints.
    """

    name: str
    command: tuple[str, ...]
    settings: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    printed: Path | None = None

    def digest(self, root: Path) -> str:
        """The same for two steps whose outputs would be. Raises `FileNotFoundError` where an input is missing."""
        files = {str(path): hashlib.sha256((root / path).read_bytes()).hexdigest() for path in self.inputs}
        return hashlib.sha256(json.dumps([self.command, self.settings, files], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Subject:
    """A model that is measured. files: of its checkpoint."""

    name: str
    measured: Measured
    settings: str
    files: tuple[Path, ...]
    root: Path

    def step(
        self, name: str, command: Iterable[str], inputs: Iterable[Path], outputs: Iterable[str], printed: str = ""
    ) -> Step:
        """One of its steps; inputs: those beside the checkpoint."""
        made = tuple(map(Path, (*outputs, printed) if printed else outputs))
        text = Path(printed) if printed else None
        return Step(f"{self.name}: {name}", tuple(command), self.settings, (*self.files, *inputs), made, text)

    def prompts(self, name: str) -> tuple[Path, ...]:
        """A prompt file and the first frames that it names."""
        path = PROMPTS / name
        images = {each.image.relative_to(self.root) for each in read_prompts(self.root / path) if each.image}
        return (path, *sorted(images))

    @property
    def kinds(self) -> dict[str, str]:
        """Its calibration files by the ending of what is measured with them."""
        image = self.measured.image_calibration
        return {"": self.measured.calibration} | ({".image": image} if image else {})

    @property
    def covariances(self) -> tuple[Path, ...]:
        """What its accelerated runs rest on."""
        return tuple(Path(f"alphas/{self.name}{kind}.json") for kind in self.kinds)


def steps(catalogue: Catalogue, models: Iterable[str], root: Path) -> list[Step]:
    """All steps of some of `MODELS`. root: of the repository, from which all paths are seen."""
    made: list[Step] = []
    for name in models:
        subject = _subject(catalogue, name, root)
        made += [*_coefficients(subject), *_evaluations(subject), _following(subject), *_quoted(subject)]
    return made


def _subject(catalogue: Catalogue, name: str, root: Path) -> Subject:
    entry = catalogue.entry(name)
    settings = entry.model_dump_json(exclude={"source", "coefficients", "evaluation"})
    # Not the card: it says what was measured of the checkpoint.
    files = sorted(path for path in Path(entry.source).rglob("*") if path.is_file() and path.suffix != ".md")
    return Subject(name, MODELS[name], settings, tuple(path.relative_to(root) for path in files), root)


def _coefficients(subject: Subject) -> Iterator[Step]:
    for kind, prompts in subject.kinds.items():
        base = f"alphas/{subject.name}{kind}"
        calibrate = ("workers", "calibrate", "--model", subject.name, "--prompts", str(PROMPTS / prompts))
        yield subject.step(
            f"covariance{_FROM[kind]}",
            (*calibrate, "--limit", str(RUNS), "--plans", str(subject.measured.plans), "-o", f"{base}.json"),
            subject.prompts(prompts),
            [f"{base}.{end}" for end in ("json", "covariance.png", "schedules.png")],
        )
        paper = ("--method", "paper", "--seeds", str(subject.measured.seeds), "-o", f"{base}.paper.json")
        yield subject.step(
            f"the paper's coefficients{_FROM[kind]}",
            (*calibrate, *paper),
            subject.prompts(prompts),
            [f"{base}.paper.{end}" for end in ("json", "convergence.png", "heatmap.png", "profile.png")],
        )


def _evaluations(subject: Subject) -> Iterator[Step]:
    name, measured = subject.name, subject.measured
    evaluate = ("workers", "evaluate", "--model", name, "--prompts", str(PROMPTS / measured.bench))
    yield subject.step(
        "evaluation",
        (*evaluate, *_each("--sf", measured.sf), "-o", f"alphas/{name}.evaluation.json"),
        (*subject.prompts(measured.bench), *subject.covariances),
        [f"alphas/{name}.evaluation.{end}" for end in ("json", "curve.png", "sheet.png")],
    )
    coefficients = [path.with_suffix(".paper.json") for path in subject.covariances][-1]
    paper = ("--method", "paper", "--coefficients", str(coefficients), *_each("--sf", PAPER_SF))
    yield subject.step(
        "evaluation of the paper's method",
        (*evaluate, *paper, "-o", f"alphas/{name}.paper.evaluation.json"),
        (*subject.prompts(measured.bench), coefficients),
        [f"alphas/{name}.paper.evaluation.{end}" for end in ("json", "curve.png", "sheet.png")],
    )


def _following(subject: Subject) -> Step:
    output = f"alphas/{subject.name}.following.json"
    first_frames = ("--first-frames",) if subject.measured.image_calibration else ()
    pictures = f"alphas/{subject.name}.emoji.jpg"
    emoji = ("--emoji", "--pictures", pictures) if subject.measured.emoji else ()
    return subject.step(
        "prompt following",
        ("bench.prompt_following", "--model", subject.name, *first_frames, *emoji, "--output", output),
        (HELD_OUT, CHECKER, *(EMOJI if emoji else []), *subject.covariances),
        [output, *([pictures] if emoji else [])],
    )


def _quoted(subject: Subject) -> Iterator[Step]:
    """What pages quote in words, or in tables with more in them: their text is for who edits those pages."""
    for name, options in subject.measured.quoted:
        printed = f"out/measured/{subject.name}-{name.removeprefix('bench.')}.txt"
        inputs = [*subject.prompts(subject.measured.bench), *subject.covariances]
        inputs += [path.with_suffix(".paper.json") for path in subject.covariances]
        yield subject.step(name, (name, "--model", subject.name, *options), inputs, [], printed)


def _each(option: str, values: Iterable[int]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, str(value)))
