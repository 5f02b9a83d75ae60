"""What the offline commands show, and how they end when they are interrupted."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text

#: Values are shown as they are: what is in square brackets or between colons is a part of them.
console = Console(stderr=True, markup=False, emoji=False)
#: As a shell tells of a program that Ctrl-C ended.
INTERRUPTED = 130
#: What they say when they are imported or read a checkpoint is about their own files and versions.
NOISY = ("torchvision", "transformers", "diffusers", "accelerate", "huggingface_hub", "peft", "torchao")


@contextmanager
def interruptible(kept: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C inside ends the command with a line that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        console.print(f"stopped: {kept()}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def interruptible_command(command: Callable[..., None]) -> Callable[..., None]:
    """A command that ends so also before it has begun: reading libraries takes a while."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        with interruptible(lambda: "nothing was begun, so there is nothing to keep; the same command starts again"):
            command(*arguments, **options)

    return run


def quiet_warnings() -> None:
    """Before the libraries are imported. What this product logs goes to standard error, among the rest."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    for library in NOISY:
        warnings.filterwarnings("ignore", module=rf"{library}(\.|$)")
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def use_threads(threads: int | None) -> None:
    """CPU threads of torch, where they are given; and its libraries keep quiet from here on."""
    quiet_warnings()
    import torch

    from workers.logs import quiet_libraries

    quiet_libraries()
    if threads is not None:
        torch.set_num_threads(threads)


def status(text: str) -> Status:
    """Shown while the block runs."""
    return console.status(Text(text))


def progress() -> Progress:
    """A bar with a title, how much is done, and the times."""
    title = TextColumn("{task.description}", markup=False)
    columns = (title, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


@dataclass
class Done:
    """How far a command is, shown by a bar and told when it is interrupted. Called with (done, in all)."""

    bar: Progress
    title: str
    parts: int
    done: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        self._task = self.bar.add_task(self.title, total=None)

    def __call__(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        self.bar.update(self._task, completed=done, total=total)

    @property
    def whole(self) -> int:
        """How many of the parts are finished."""
        return self.done * self.parts // self.total if self.total else 0
