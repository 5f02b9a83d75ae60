"""What `max_skip`, `final_full_steps` and κ of the paper's method cost and bring: full steps and fidelity.

python -m bench.interval_settings --model wan-tiny
"""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from bench.program import CatalogueOption, ThreadsOption, run_command
from workers.commands.options import PromptsFile
from workers.engine.generation import run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.paper_acceleration import fitting_coefficients
from workers.engine.paper_session import PaperSession
from workers.engine.plan import plan_run
from workers.jobs.job import GenerationRequest, Reason
from workers.measurement.fidelity import psnr, ssim
from workers.measurement.prompts import read_prompts
from workers.models.catalogue import Catalogue
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.expert_sessions import ExpertSessions

NO_LIMIT = 1000
MAX_SKIP = (2, 4, 6, 8, NO_LIMIT)
FINAL_FULL_STEPS = (0, 2, 4)
#: In place of `max_skip`: tried without a limit.
KAPPA = (0.6, 0.4)
console = Console(width=100)


def main(
    model: Annotated[str, typer.Option(help="A calibrated model of models.toml.")] = "wan-tiny",
    prompts: PromptsFile = Path("demo/prompts/bench.txt"),
    limit: Annotated[int, typer.Option(help="How many of the prompts.", min=1)] = 4,
    sf: Annotated[int, typer.Option(help="Of every run.", min=2)] = 10,
    threads: ThreadsOption = 2,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Vary one setting at a time from the calibrated ones; fidelity is against uncached runs of the same seeds."""
    torch.set_num_threads(threads)
    models = Catalogue.read(catalogue).changed(model, method="paper", coefficients=(f"alphas/{model}.paper.json",))
    loaded = load_model(models.entry(model), models.family(model))
    coefficients = fitting_coefficients(loaded, plan_run(loaded, models.request(model, "any")))
    if isinstance(coefficients, Reason):
        raise SystemExit(str(coefficients))
    requests = [
        models.request(model, prompt.text, sf=sf, seed=number)
        for number, prompt in enumerate(read_prompts(prompts, limit))
    ]
    own = IntervalSettings(sf, coefficients.kappa, coefficients.max_skip, coefficients.final_full_steps)
    varied = [replace(own, max_skip=skip) for skip in MAX_SKIP]
    varied += [replace(own, final_full_steps=final) for final in FINAL_FULL_STEPS]
    varied += [replace(own, kappa=kappa, max_skip=NO_LIMIT) for kappa in KAPPA]
    rows: dict[IntervalSettings, list[tuple[int, float, float]]] = {settings: [] for settings in varied}
    for request in track(requests, console=Console(stderr=True)):
        for settings, row in compare(loaded, coefficients.alpha, request, varied).items():
            rows[settings].append(row)
    table = Table("κ", "max_skip", "final_full_steps", "full steps", "PSNR, dB", "SSIM", title=f"{model}, sf={sf}")
    for settings, measured in rows.items():
        full, decibels, similarity = (fmean(column) for column in zip(*measured, strict=True))
        knobs = f"{settings.kappa:g}", str(settings.max_skip), str(settings.final_full_steps)
        table.add_row(*knobs, f"{full:.1f}", f"{decibels:.2f}", f"{similarity:.4f}")
    console.print(table)


def compare(
    model: LoadedModel, alpha: Tensor, request: GenerationRequest, varied: list[IntervalSettings]
) -> dict[IntervalSettings, tuple[int, float, float]]:
    """(full steps, PSNR, SSIM) of a request with each of the settings."""
    reference, _ = run_pipeline(model, plan_run(model, request), None)
    results = {}
    for settings in varied:
        plan = plan_run(model, request)
        session = ExpertSessions(settings, alpha, plan.segments)
        frames, _ = run_pipeline(model, plan, PaperSession(session))
        results[settings] = session.decisions.count("F"), psnr(frames, reference), ssim(frames, reference)
    return results


if __name__ == "__main__":
    run_command("bench.interval_settings", main)
