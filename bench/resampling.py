"""What is lost when the covariance of one number of steps answers for another, against measuring it there.

python -m bench.resampling --model wan-tiny --steps 25 --steps 100

Measures with each number of steps first: prompts × seeds uncached generations, which go on where they were when
interrupted. Then runs each benchmark prompt uncached and with the measured, the interpolated and no covariance.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.program import CatalogueOption, ThreadsOption, run_command
from bench.rivals.rival import LEAST_STEPS
from workers.commands.options import PromptsFile
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel, load_model
from workers.jobs.job import GenerationRequest
from workers.measurement.calibration import calibrate
from workers.measurement.fidelity import psnr, ssim
from workers.measurement.prompts import read_prompts
from workers.measurement.uncached_runs import UncachedRuns, uncached_model
from workers.models.catalogue import Catalogue
from workers.scalingcache.measured import MeasuredCovariance

console = Console(width=120)


@dataclass(frozen=True)
class Row:
    """Means over prompts, against uncached runs with the same number of steps."""

    full_steps: float
    psnr: float
    ssim: float


def main(
    model: Annotated[str, typer.Option(help="A calibrated model of models.toml.")] = "wan-tiny",
    steps: Annotated[list[int], typer.Option(help="One or more numbers of steps.", min=LEAST_STEPS)] = [25, 100],  # noqa: B006
    sf: Annotated[int, typer.Option(help="At the steps of the covariance file; in proportion at others.", min=2)] = 10,
    prompts: PromptsFile = Path("demo/prompts/bench.txt"),
    limit: Annotated[int, typer.Option(help="How many of the prompts, to compare with.", min=1)] = 4,
    calibration: PromptsFile = Path("demo/prompts/calibration.txt"),
    runs: Annotated[int, typer.Option(help="How many of --calibration, to measure with.", min=1)] = 4,
    threads: ThreadsOption = 2,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Compare covariances that were measured, interpolated, and left out, in fidelity."""
    torch.set_num_threads(threads)
    models = Catalogue.read(catalogue)
    loaded = load_model(models.entry(model), models.family(model))
    if not loaded.covariances:
        raise SystemExit(f"{model} has no covariance file")
    table = Table("steps", "covariance", "full steps", "PSNR, dB", "SSIM", title=model)
    for number in steps:
        uncached = UncachedRuns(model, read_prompts(calibration, runs), 1, number, Path("build/calibration"))
        ways = {
            "measured": replace(loaded, covariances=(measured(models, uncached),)),
            "interpolated": loaded,
            "none": replace(loaded, covariances=()),
        }
        wanted = max(2, round(sf * number / loaded.covariances[0].steps))
        requests = [
            models.request(model, prompt.text, steps=number, sf=wanted, seed=seed)
            for seed, prompt in enumerate(read_prompts(prompts, limit))
        ]
        for name, row in compare(ways, requests).items():
            table.add_row(str(number), name, f"{row.full_steps:.1f}", f"{row.psnr:.2f}", f"{row.ssim:.4f}")
    console.print(table)


def measured(catalogue: Catalogue, runs: UncachedRuns) -> MeasuredCovariance:
    """The covariance at a number of steps, with progress."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"measuring with {runs.steps} steps", total=None)
        model = uncached_model(catalogue, runs.model)
        return calibrate(model, catalogue, runs, lambda done, total: progress.update(task, completed=done, total=total))


def compare(ways: dict[str, LoadedModel], requests: list[GenerationRequest]) -> dict[str, Row]:
    """Fidelity of the same requests on models that differ in what is known of them alone."""
    results: dict[str, list[tuple[int, float, float]]] = {name: [] for name in ways}
    for request in requests:
        reference = generate(ways["measured"], request.uncached).frames
        for name, model in ways.items():
            run = generate(model, request)
            results[name].append((run.report.full_steps, psnr(run.frames, reference), ssim(run.frames, reference)))
    return {name: Row(*(fmean(column) for column in zip(*rows, strict=True))) for name, rows in results.items()}


if __name__ == "__main__":
    run_command("bench.resampling", main)
