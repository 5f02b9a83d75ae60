"""What `max_skip` and `final_full_steps` cost and bring: full steps and fidelity for several values of each.

python -m bench.interval_settings --model wan-tiny
"""

from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from workers.fidelity import psnr, ssim
from workers.generation import Watcher, run_pipeline
from workers.jobs.job import GenerationRequest
from workers.loaded import LoadedModel, load_model
from workers.models.catalogue import Catalogue
from workers.prompts import read_prompts
from workers.scalingcache.coefficients import Coefficients
from workers.scalingcache.controller import IntervalSettings
from workers.scalingcache.session import Session

MAX_SKIP = (2, 4, 6, 8, 50)
FINAL_FULL_STEPS = (0, 1, 2, 4)
console = Console(width=100)


def main(
    model: Annotated[str, typer.Option(help="A calibrated model of models.toml.")] = "wan-tiny",
    prompts: Annotated[Path, typer.Option(help="One prompt a line.")] = Path("demo/prompts/bench.txt"),
    limit: Annotated[int, typer.Option(help="How many of the prompts.")] = 4,
    sf: Annotated[int, typer.Option(help="Of every run.")] = 10,
    threads: Annotated[int, typer.Option(help="CPU threads of torch.")] = 2,
    catalogue: Annotated[Path, typer.Option(help="The TOML file.")] = Path("models.toml"),
) -> None:
    """Vary one setting at a time from the calibrated ones; fidelity is against uncached runs of the same seeds."""
    torch.set_num_threads(threads)
    known = Catalogue.read(catalogue)
    loaded = load_model(known.entry(model), known.family(model))
    coefficients = loaded.coefficients
    if coefficients is None:
        raise SystemExit(f"model {model} is not calibrated")
    requests = [
        known.request(model, prompt.text, sf=sf, seed=number)
        for number, prompt in enumerate(read_prompts(prompts, limit))
    ]
    varied = [(skip, coefficients.final_full_steps) for skip in MAX_SKIP]
    varied += [(coefficients.max_skip, final) for final in FINAL_FULL_STEPS]
    rows: dict[tuple[int, int], list[tuple[int, float, float]]] = {pair: [] for pair in varied}
    for request in track(requests, console=Console(stderr=True)):
        for pair, row in compare(loaded, coefficients, request, list(rows)).items():
            rows[pair].append(row)
    table = Table("max_skip", "final_full_steps", "full steps", "PSNR, dB", "SSIM", title=f"{model}, sf={sf}")
    for (skip, final), measured in rows.items():
        full, decibels, similarity = (fmean(column) for column in zip(*measured, strict=True))
        table.add_row(str(skip), str(final), f"{full:.1f}", f"{decibels:.2f}", f"{similarity:.4f}")
    console.print(table)


def compare(
    model: LoadedModel, coefficients: Coefficients, request: GenerationRequest, varied: list[tuple[int, int]]
) -> dict[tuple[int, int], tuple[int, float, float]]:
    """(full steps, PSNR, SSIM) of a request for each (max_skip, final_full_steps)."""
    reference, _ = run_pipeline(model, request, None, Watcher())
    found = {}
    for skip, final in varied:
        session = Session(IntervalSettings(request.sf, coefficients.kappa, skip, final), coefficients.alpha)
        frames, _ = run_pipeline(model, request, session, Watcher())
        full = session.controller.decisions.count("F")
        found[skip, final] = full, psnr(frames, reference), ssim(frames, reference)
    return found


if __name__ == "__main__":
    typer.run(main)
