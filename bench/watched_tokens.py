"""Whether watching a few tokens of each block decides like watching all of them.

python -m bench.watched_tokens --model wan-tiny
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from bench.program import CatalogueOption, ThreadsOption, run_command
from workers.commands.options import PromptsFile
from workers.engine.generation import run_pipeline
from workers.engine.loaded import load_model
from workers.engine.paper_acceleration import fitting_coefficients
from workers.engine.paper_session import PaperSession
from workers.engine.plan import plan_run
from workers.jobs.job import Reason
from workers.measurement.prompts import read_prompts
from workers.models.catalogue import Catalogue
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.expert_sessions import ExpertSessions

COUNTS = (4, 8, 16, 32, 64)
ALL = 1_000_000
console = Console(width=140)


def main(
    model: Annotated[str, typer.Option(help="A calibrated model of models.toml.")] = "wan-tiny",
    prompts: PromptsFile = Path("demo/prompts/bench.txt"),
    limit: Annotated[int, typer.Option(help="How many of the prompts.", min=1)] = 3,
    sf: Annotated[int, typer.Option(help="Of every run.", min=3)] = 10,
    threads: ThreadsOption = 2,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Run the same generations with samples of several sizes and compare decisions and errors with the whole."""
    torch.set_num_threads(threads)
    models = Catalogue.read(catalogue).changed(model, method="paper", coefficients=(f"alphas/{model}.paper.json",))
    loaded = load_model(models.entry(model), models.family(model))
    coefficients = fitting_coefficients(loaded, plan_run(loaded, models.request(model, "any")))
    if isinstance(coefficients, Reason):
        raise SystemExit(str(coefficients))
    settings = IntervalSettings(sf, coefficients.kappa, coefficients.max_skip, coefficients.final_full_steps)
    table = Table("prompt", "tokens", "decisions", "differs at", "largest error of ē", title=f"{model}, sf={sf}")
    for number, prompt in enumerate(read_prompts(prompts, limit)):
        request = models.request(model, prompt.text, sf=sf, seed=number)
        whole: ExpertSessions | None = None
        for count in (ALL, *COUNTS):
            session = ExpertSessions(settings, coefficients.alpha, watched_tokens=count)
            run_pipeline(loaded, plan_run(loaded, request), PaperSession(session))
            whole = whole or session
            table.add_row(str(number), "all" if count == ALL else str(count), *compare(session, whole, sf))
    console.print(table)


def compare(ours: ExpertSessions, theirs: ExpertSessions, first: int) -> tuple[str, str, str]:
    """Decisions, steps that were decided otherwise, and the error of ē at the first steps, where both are in full."""
    differing = [i for i, (a, b) in enumerate(zip(ours.decisions, theirs.decisions, strict=True)) if a != b]
    errors = [abs(a / b - 1) for a, b in zip(ours.epsilons[2:first], theirs.epsilons[2:first], strict=True)]
    return ours.decisions, ", ".join(map(str, differing)) or "-", f"{max(errors):.1%}"


if __name__ == "__main__":
    run_command("bench.watched_tokens", main)
