"""Speed, fidelity and memory of ScalingCache for several sf, against uncached runs of the same prompts and seeds.

python -m bench.sf_curve --model wan-tiny
"""

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.contact_sheet import save_contact_sheet
from bench.fidelity import Video, psnr, ssim
from workers.calibrate import read_prompts
from workers.generation import generate
from workers.jobs.job import RunReport
from workers.loaded import LoadedModel, load_model
from workers.models.catalogue import Catalogue

SF = (4, 6, 8, 10, 12, 14, 20)
console = Console(width=120)


@dataclass(frozen=True)
class Row:
    """Means over prompts. `speedup` is uncached over accelerated denoise time, pair by pair; cost in full steps."""

    sf: int
    full_steps: float
    speedup: float
    predicted_step_cost: float
    psnr: float
    ssim: float
    cache_bytes: int


@dataclass(frozen=True)
class Pair:
    """One prompt, uncached and accelerated."""

    reference: RunReport
    report: RunReport
    psnr: float
    ssim: float


def main(
    model: Annotated[str, typer.Option(help="A model of models.toml.")] = "wan-tiny",
    prompts: Annotated[Path, typer.Option(help="One prompt a line.")] = Path("demo/prompts/bench.txt"),
    seed: Annotated[int, typer.Option(help="Of every generation.")] = 11,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 2,
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("out/bench"),
    catalogue_file: Annotated[Path, typer.Option("--catalogue", help="The TOML file.")] = Path("models.toml"),
) -> None:
    """Measure every sf on every prompt, in one run, and print the table and save the plot."""
    torch.set_num_threads(threads)
    catalogue = Catalogue.read(catalogue_file)
    loaded = load_model(catalogue.entry(model), catalogue.family(model))
    pairs: dict[int, list[Pair]] = {sf: [] for sf in SF}
    sheet: dict[str, Video] = {}
    texts = read_prompts(prompts)
    generate(loaded, catalogue.request(model, texts[0], steps=4, sf=4, seed=0))  # the first run of a process is slow
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{len(texts)} prompts", total=len(texts) * (len(SF) + 1))
        for text in texts:
            measured = measure(loaded, catalogue, text, seed, lambda: progress.advance(task))
            for sf, (pair, _) in measured.items():
                if sf in pairs:
                    pairs[sf].append(pair)
            sheet = sheet or {
                ("uncached: " + text if sf not in pairs else f"sf={sf}"): video for sf, (_, video) in measured.items()
            }
    rows = [summary(sf, of_sf) for sf, of_sf in pairs.items()]
    output.mkdir(parents=True, exist_ok=True)
    save_contact_sheet(output / f"{model}-sf.png", sheet)
    save_plot(output / f"{model}-sf-curve.png", model, rows)
    (output / f"{model}-sf-curve.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    report(model, rows, len(texts), threads)


def measure(
    model: LoadedModel, catalogue: Catalogue, prompt: str, seed: int, done: Callable[[], None]
) -> dict[int, tuple[Pair, Video]]:
    """The prompt uncached (under its number of steps) and with each sf."""
    name = model.entry.name
    steps = model.entry.defaults.steps
    reference = generate(model, catalogue.request(name, prompt, sf=steps, seed=seed))
    done()
    own = Pair(reference.report, reference.report, float("inf"), 1.0)
    measured = {steps: (own, reference.frames)}
    for sf in SF:
        run = generate(model, catalogue.request(name, prompt, sf=sf, seed=seed))
        fidelity = psnr(run.frames, reference.frames), ssim(run.frames, reference.frames)
        measured[sf] = Pair(reference.report, run.report, *fidelity), run.frames
        done()
    return measured


def summary(sf: int, pairs: list[Pair]) -> Row:
    """The means of one sf."""
    return Row(
        sf=sf,
        full_steps=fmean(p.report.full_steps for p in pairs),
        speedup=fmean(p.reference.timings["denoise"] / p.report.timings["denoise"] for p in pairs),
        predicted_step_cost=fmean((p.report.predicted_step_seconds or 0) / p.report.full_step_seconds for p in pairs),
        psnr=fmean(p.psnr for p in pairs),
        ssim=fmean(p.ssim for p in pairs),
        cache_bytes=max(p.report.cache_bytes for p in pairs),
    )


def save_plot(path: Path, model: str, rows: list[Row]) -> None:
    """Fidelity and speedup over sf."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sf = [row.sf for row in rows]
    axes.plot(sf, [row.psnr for row in rows], marker="o", color="tab:blue", label="PSNR against uncached")
    axes.set(xlabel="sf", ylabel="PSNR, dB", xticks=sf, title=f"{model}: the speed knob")
    other = axes.twinx()
    other.plot(sf, [row.speedup for row in rows], marker="s", color="tab:red", label="speedup")
    other.set(ylabel="speedup of denoising", ylim=(1, None))
    axes.legend(handles=[*axes.lines, *other.lines], loc="center right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def report(model: str, rows: list[Row], prompts: int, threads: int) -> None:
    """Print the table as it goes into the documentation."""
    table = Table(title=f"{model}, means over {prompts} prompts, against uncached runs of the same seed")
    for name in ("sf", "full steps", "speedup", "predicted step / full step", "PSNR, dB", "SSIM", "cache, KiB"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            str(row.sf), f"{row.full_steps:.1f}", f"{row.speedup:.2f}x", f"{row.predicted_step_cost:.2%}",
            f"{row.psnr:.2f}", f"{row.ssim:.4f}", f"{row.cache_bytes / 1024:.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(f"{datetime.now(UTC).date()}, {platform.machine()}, {threads} threads, torch {torch.__version__}")


if __name__ == "__main__":
    typer.run(main)
