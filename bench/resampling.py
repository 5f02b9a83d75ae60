"""What is lost when coefficients of one number of steps are resampled to another, against measuring them there.

python -m bench.resampling --model wan-tiny --steps 25 --steps 35 --steps 100

Measures coefficients with each number of steps first: prompts × seeds uncached generations, which go on where they were
when interrupted. Then runs each benchmark prompt uncached and with measured, resampled and no coefficients (α = 1).
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

from workers.engine.acceleration import fitting_coefficients, resampled
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest, Reason
from workers.measurement.calibration import CalibrationSettings, calibrate
from workers.measurement.fidelity import psnr, ssim
from workers.measurement.prompts import read_prompts
from workers.models.catalogue import Catalogue
from workers.scalingcache.coefficients import Coefficients

console = Console(width=120)


@dataclass(frozen=True)
class Row:
    """Means over prompts, against uncached runs with the same number of steps."""

    full_steps: float
    psnr: float
    ssim: float


def main(
    model: Annotated[str, typer.Option(help="A calibrated model of models.toml.")] = "wan-tiny",
    steps: Annotated[list[int], typer.Option(help="One or more numbers of steps.")] = [25, 100],  # noqa: B006
    sf: Annotated[int, typer.Option(help="At the steps of the coefficient file; in proportion at others.")] = 10,
    seeds: Annotated[int, typer.Option(help="For each prompt of the calibration.")] = 1,
    prompts: Annotated[Path, typer.Option(help="To compare with.")] = Path("demo/prompts/bench.txt"),
    limit: Annotated[int, typer.Option(help="How many of them.")] = 4,
    calibration: Annotated[Path, typer.Option(help="To measure with.")] = Path("demo/prompts/calibration.txt"),
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 2,
    catalogue: Annotated[Path, typer.Option(help="The TOML file.")] = Path("models.toml"),
) -> None:
    """Compare coefficients that were measured, resampled, and left out, in fidelity."""
    torch.set_num_threads(threads)
    models = Catalogue.read(catalogue)
    loaded = load_model(models.entry(model), models.family(model))
    file = fitting_coefficients(loaded, plan_run(loaded, models.request(model, "any")))
    if isinstance(file, Reason):
        raise SystemExit(str(file))
    table = Table("steps", "coefficients", "full steps", "PSNR, dB", "SSIM", "mean |α − measured α|", title=model)
    for number in steps:
        settings = CalibrationSettings(
            model, read_prompts(calibration), seeds, number, file.max_skip, file.final_full_steps,
            Path("build/calibration"),
        )  # fmt: skip
        own = measured(models, settings)
        # The same rule for all, so that the coefficients alone differ.
        own = replace(own, kappa=file.kappa)
        ones = replace(own, alpha=torch.ones_like(own.alpha))
        ways = {
            "measured": replace(loaded, coefficients=(own,)),
            "resampled": replace(loaded, coefficients=(file,)),
            "none": replace(loaded, coefficients=(ones,)),
        }
        wanted = max(2, round(sf * number / file.key.steps))
        requests = [
            models.request(model, prompt.text, steps=number, sf=wanted, seed=seed)
            for seed, prompt in enumerate(read_prompts(prompts, limit))
        ]
        alphas = {
            "measured": own.alpha,
            "resampled": resampled(loaded, file, plan_run(loaded, requests[0])),
            "none": ones.alpha,
        }
        for name, row in compare(ways, requests).items():
            distance = float((alphas[name] - own.alpha)[2:].abs().mean())
            cells = f"{row.full_steps:.1f}", f"{row.psnr:.2f}", f"{row.ssim:.4f}", f"{distance:.4f}"
            table.add_row(str(number), name, *cells)
    console.print(table)


def measured(catalogue: Catalogue, settings: CalibrationSettings) -> Coefficients:
    """Coefficients at a number of steps, with progress."""
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(f"measuring with {settings.steps} steps", total=None)
        return calibrate(catalogue, settings, lambda done, total: progress.update(task, completed=done, total=total))


def compare(ways: dict[str, LoadedModel], requests: list[GenerationRequest]) -> dict[str, Row]:
    """Fidelity of the same requests on models that differ in their coefficients alone."""
    results: dict[str, list[tuple[int, float, float]]] = {name: [] for name in ways}
    for request in requests:
        reference = generate(ways["measured"], request.uncached).frames
        for name, model in ways.items():
            run = generate(model, request)
            results[name].append((run.report.full_steps, psnr(run.frames, reference), ssim(run.frames, reference)))
    return {name: Row(*(fmean(column) for column in zip(*rows, strict=True))) for name, rows in results.items()}


if __name__ == "__main__":
    typer.run(main)
