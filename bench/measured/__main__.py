"""`make measure-demo`: measure the demo checkpoints again, and write the figures into the pages that show them.

It takes hours, keeps every step that is finished, says which, and goes on where it was when it is started again; steps
that take long keep parts of their own. A step is done again when anything it depends on is another: weights, settings,
prompts, coefficients.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.measured.pages import fill_pages
from bench.measured.record import Record
from bench.measured.steps import MODELS, Step, steps
from workers.configuration import run_program
from workers.jobs.errors import InvalidRequest
from workers.models.catalogue import Catalogue

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "build" / "measured"
console = Console()
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    model: Annotated[list[str], typer.Option(help="One or several; all by default.")] = list(MODELS),  # noqa: B006
    listed: Annotated[bool, typer.Option("--list", help="Say what is kept and what is to do, and do nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Keep nothing.")] = False,
    pages: Annotated[bool, typer.Option("--pages", help="Only write what is measured into the pages.")] = False,
) -> None:
    """Measure the demo checkpoints again, and write the figures into README, docs and cards."""
    if unknown := [name for name in model if name not in MODELS]:
        raise InvalidRequest("model", f"--model {unknown[0]}: it is no demo checkpoint; there are {', '.join(MODELS)}")
    if not pages:
        todo = steps(Catalogue.read(ROOT / "models.toml"), model, ROOT)
        measure(todo, Record(RECORD, ROOT), listed, again)
    if not listed:
        for page in fill_pages(ROOT):
            console.print(f"wrote {page.relative_to(ROOT)}", soft_wrap=True)


def measure(todo: Sequence[Step], record: Record, listed: bool, again: bool) -> None:
    """Run the steps that are not kept, in order. Raises `SystemExit` when a command fails."""
    for number, step in enumerate(todo, start=1):
        place = f"{number}/{len(todo)} {step.name}"
        kept = not again and all((ROOT / path).exists() for path in step.inputs) and record.keeps(step)
        if kept or listed:
            console.print(f"{place}: {'kept' if kept else 'to do'}", markup=False, soft_wrap=True)
            continue
        console.print(f"{place}: python -m {' '.join(step.command)}", markup=False, soft_wrap=True)
        began = time.monotonic()
        run(step)
        record.finish(step)
        console.print(f"{place}: done in {(time.monotonic() - began) / 60:.1f} min", markup=False)


def run(step: Step) -> None:
    """Run a step's command; its progress is shown. Raises `SystemExit` when it fails."""
    command = [sys.executable, "-m", *step.command]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE if step.printed else None, text=True, check=False)
    if done.returncode != 0:
        console.print(f"{step.name}: ended with code {done.returncode}; what is finished is kept", markup=False)
        raise SystemExit(1)
    if step.printed:
        (ROOT / step.printed).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / step.printed).write_text(done.stdout)
        console.print(f"wrote {step.printed}, which pages quote: they are edited by hand", soft_wrap=True)


if __name__ == "__main__":
    run_program("python -m bench.measured", app)
