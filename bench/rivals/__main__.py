"""Compares all rivals on one model, one process after the other, and writes the model's page, rows and plot.

python -m bench.rivals --model wan-tiny

Finished measurements are kept in the work folder: an interrupted run goes on where it was, and a rival whose file was
changed is measured again.
"""

import asyncio
import math
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bench.program import CatalogueOption, ThreadsOption, run_command
from bench.rivals.ablation import parts
from bench.rivals.comparison import at, curve, mean
from bench.rivals.launch import Failed, Options, launch
from bench.rivals.plot import save_plot
from bench.rivals.provenance import machine
from bench.rivals.records import Outcomes, Results
from bench.rivals.registry import chosen
from bench.rivals.report import BASELINE, HEADLINE, consistent, page
from bench.rivals.rival import LEAST_STEPS, Knob, Rival
from bench.rivals.scouting import bracket
from bench.rivals.sweep import mean_costs
from workers.commands.destinations import check_folder
from workers.jobs.errors import InvalidRequest
from workers.models.catalogue import Catalogue

console = Console(stderr=True)


@dataclass(frozen=True)
class Job:
    """One process: the sweep of a rival, or its headline at given settings."""

    rival: str
    settings: tuple[Knob, ...] = ()


def main(
    model: Annotated[str, typer.Option(help="A model of the catalogue.")] = "wan-tiny",
    only: Annotated[list[str] | None, typer.Option(help="Only this rival; may be given several times.")] = None,
    prompts: Annotated[int, typer.Option(help="Of the sweep.", min=1)] = 8,
    held_out: Annotated[int, typer.Option(help="Prompts of the headline; 0 has none.", min=0)] = 24,
    seeds: Annotated[int, typer.Option(help="For each prompt of the headline.", min=1)] = 2,
    best: Annotated[int, typer.Option(help="How many rivals beside ours and the paper have a headline.", min=0)] = 5,
    pairs: Annotated[int, typer.Option(help="Pairs of timed runs at a setting; 0 times nothing.", min=0)] = 5,
    steps: Annotated[
        int | None, typer.Option(help="Of every run; the model's default without.", min=LEAST_STEPS)
    ] = None,
    threads: ThreadsOption = 2,
    patience: Annotated[float, typer.Option(help="Minutes without a measurement after which a rival is ended.")] = 60,
    work: Annotated[Path, typer.Option(help="Folder of finished measurements.")] = Path("out/rivals"),
    docs: Annotated[
        Path | None, typer.Option(help="Folder of the page; docs/rivals, or with --only the work folder.")
    ] = None,
    catalogue: CatalogueOption = Path("models.toml"),
) -> None:
    """Sweep all rivals, run the best ones' headline, write the page. Exits with 1 when a rival's process failed."""
    if not patience > 0 or not math.isfinite(patience):
        raise InvalidRequest("patience", f"--patience {patience:g} must be a number of minutes above 0")
    torch.set_num_threads(threads)
    known = chosen(only)
    _check(Catalogue.read(catalogue), model, steps)
    # A page of some rivals does not take the place of that of all.
    docs = docs or (work / model if only else Path("docs/rivals"))
    check_folder(work, "work")
    check_folder(docs, "docs")
    options = Options(model, catalogue, work / model, prompts, held_out, seeds, pairs, steps, threads, patience * 60)
    swept, failed = _run([Job(name) for name in known], options, known)
    finals = _headlines(consistent(swept), best) if held_out else []
    ran, also_failed = _run(finals, options, known)
    results = Results(
        model=model,
        provenance={
            "command": " ".join(["python -m bench.rivals", *sys.argv[1:]]),
            "date": datetime.now(UTC).date().isoformat(),
            **machine(),
        },
        outcomes=tuple(_merged(swept, ran)),
    )
    _write(results, docs)
    for each in (*failed, *also_failed):
        console.print(f"[red]{each}[/red]")
    if failed or also_failed:
        raise typer.Exit(1)


def _check(catalogue: Catalogue, model: str, steps: int | None) -> None:
    """Before any process is started: raise `InvalidRequest` where the model is unknown, or has no such runs."""
    takes_images = catalogue.family(model).input_reference != "none"
    catalogue.request(model, "a prompt", steps=steps, input_reference="0" * 64 if takes_images else None)


def _run(jobs: list[Job], options: Options, known: dict[str, Rival]) -> tuple[list[Outcomes], list[Failed]]:
    """Each job in a process of its own, one after the other; those that fail do not stop the others."""
    found: list[Outcomes] = []
    failed: list[Failed] = []
    columns = TextColumn("{task.description:<26}"), BarColumn(), TextColumn("{task.fields[left]}")
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=max(1, len(jobs)), left="")
        for number, job in enumerate(jobs):
            progress.update(task, description=job.rival)

            def told(part: float, seconds_left: float | None, number: int = number) -> None:
                left = "" if seconds_left is None else _left(seconds_left, len(jobs) - number - 1)
                progress.update(task, completed=number + part, left=left)

            try:
                found.append(asyncio.run(launch(job.rival, list(job.settings), options, told)))
                console.print(f"{number + 1}/{len(jobs)} {_summary(found[-1])}")
            except Failed as error:
                failed.append(error)
                rival = known[job.rival]
                found.append(Outcomes(rival=job.rival, title=rival.title, knob=rival.knob, failed=error.how))
                console.print(f"{number + 1}/{len(jobs)} [red]{error}[/red]")
        progress.update(task, completed=len(jobs), left="")
    return found, failed


def _left(seconds: float, rivals_left: int) -> str:
    return f"{seconds / 60:.0f} min left of this rival, {rivals_left} to come"


def _summary(found: Outcomes) -> str:
    if found.refused is not None:
        return f"{found.title}: refuses: {found.refused}"
    rows = found.rows or found.headline
    return f"{found.title}: {len(rows)} runs at {len({row.setting for row in rows})} settings"


def _headlines(swept: list[Outcomes], best: int) -> list[Job]:
    """The headline's rivals, with the settings around its speedup: ours, the paper, and the best of the others."""
    scores: dict[str, float] = {}
    jobs: dict[str, Job] = {}
    for each in swept:
        settings = bracket(mean_costs(each.rows), 1 / HEADLINE) if each.rows else []
        values = at(curve(each.rows, lambda row: row.fidelity.psnr), 1 / HEADLINE)
        if settings and values is not None and each.rival not in parts():
            jobs[each.rival] = Job(each.rival, tuple(settings))
            scores[each.rival] = mean(values)
    always = [name for name in jobs if name == BASELINE or name.startswith("ours-")]
    others = sorted(scores.keys() - always, key=lambda name: -scores[name])
    return [jobs[name] for name in (*always, *others[:best])]


def _merged(swept: list[Outcomes], ran: list[Outcomes]) -> list[Outcomes]:
    finals = {each.rival: {"headline": each.headline, "failed": each.failed} for each in ran}
    return [each.model_copy(update=finals.get(each.rival, {})) for each in swept]


def _write(results: Results, docs: Path) -> None:
    docs.mkdir(parents=True, exist_ok=True)
    results.save(docs / f"{results.model}.json")
    plot = docs / f"{results.model}.png"
    outcomes = consistent(results.outcomes)
    save_plot(results.model, outcomes, plot)
    text = page(results.model, results.outcomes, results.provenance)
    picture = f"![{results.model}: fidelity over speedup]({plot.name})\n"
    (docs / f"{results.model}.md").write_text(f"{text}\n{picture}")
    console.print(f"wrote {docs / results.model}.md, .json and .png")


if __name__ == "__main__":
    run_command("bench.rivals", main)
