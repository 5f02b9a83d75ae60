"""`python -m workers check`: what a model is made of and rests on, and whether it can be served."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from workers.commands.console import console, quiet_warnings, status, use_threads
from workers.commands.options import CatalogueOption, SourceOption, ThreadsOption, settings
from workers.jobs.errors import ScalingCacheError
from workers.measurement.examination import Examination, examine
from workers.measurement.tables import of_examination

#: Columns of tables that go to a file or another program.
WIDTH = 160


def check(
    model: Annotated[str, typer.Argument(help="A model of the catalogue.")],
    meta: Annotated[
        bool, typer.Option("--meta", help="Read the small files alone: nothing is loaded, and nothing runs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    source: SourceOption = None,
    catalogue: CatalogueOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Say what a model is made of, what its acceleration rests on, and whether it can be served.

    Ends with 0 if it can be, with 1 if not, with 2 where the catalogue or the command is wrong.
    """
    values = settings(catalogue, threads)
    models = values.whole_catalogue().changed(model, source=source)
    models.entry(model)
    quiet_warnings() if meta else use_threads(values.torch_threads)
    try:
        with status(f"reading {model}" if meta else f"loading {model}"):
            found = examine(models, model, meta=meta)
    except ScalingCacheError as error:
        if as_json:
            typer.echo(json.dumps({"model": model, "ok": False, "problems": [str(error)], "code": error.code}))
            raise typer.Exit(1) from error
        raise
    if as_json:
        typer.echo(json.dumps(found.model_dump() | {"ok": not found.problems}))
    else:
        _show(found)
    if found.problems:
        raise typer.Exit(1)


def _show(found: Examination) -> None:
    out = Console(markup=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH)
    for table in of_examination(found):
        out.print(table)
    for problem in found.problems:
        console.print(f"cannot be served: {problem}", soft_wrap=True)
    if not found.problems:
        out.print(f"{found.model} can be served" + ("" if found.loaded else ", as far as its small files say"))
