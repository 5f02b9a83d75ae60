"""How the programs of this folder read their command lines and say what is wrong with them."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from workers.configuration import run_program
from workers.process.settings import MOST_TORCH_THREADS

CatalogueOption = Annotated[Path, typer.Option("--catalogue", help="The TOML file.")]
ThreadsOption = Annotated[int, typer.Option("--threads", help="CPU threads of torch.", min=1, max=MOST_TORCH_THREADS)]


def run_command(name: str, command: Callable[..., None]) -> None:
    """Run a program of one command; its errors end as those of `python -m workers` do. name: of its module."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_program(f"python -m {name}", app)


def whole(least: int) -> Callable[[str], int]:
    """For argparse: a whole number from `least` on. What it returns raises `ArgumentTypeError`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise ArgumentTypeError(f"{text} must be a whole number, {least} or more")
        return value

    return read


def positive(text: str) -> float:
    """For argparse: a finite number above 0. Raises `ArgumentTypeError`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0 or not isfinite(value):
        raise ArgumentTypeError(f"{text} must be a number above 0")
    return value
