"""Measures real architectures on a GPU, one process after the other, and writes the table of docs/benchmarks.md.

python -m bench.real_size.page --model wan2.1-1.3b --model flux.1-dev

A process that fails, as for want of memory, leaves its model out and is named in the table's caption.
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from bench.program import run_command
from bench.real_size.architectures import ARCHITECTURES, Device, Dtype, named
from workers.jobs.errors import InvalidRequest

PAGE = Path("docs/benchmarks.md")
BEGINNING, END = "<!-- bench-gpu -->", "<!-- /bench-gpu -->"
HEAD = "| model | method | full step | predicted step | loop | cache | peak memory |\n|---|---|---|---|---|---|---|"
console = Console(stderr=True)


def main(
    model: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(ARCHITECTURES)}; all without.")] = None,
    device: Annotated[Device, typer.Option(help="cuda, or cpu to try it.")] = "cuda",
    dtype: Annotated[Dtype, typer.Option(help="Of the weights.")] = "bfloat16",
    part: Annotated[str, typer.Option(help="Further options of `python -m bench.real_size`, as `--blocks 1`.")] = "",
    page: Annotated[Path, typer.Option(help="The page.")] = PAGE,
) -> None:
    """Measure, and write the page. Exits with 1 when no model could be measured."""
    for each in model or ():
        named(each)
    _check(page)
    rows, failed = [], []
    for each in model or list(ARCHITECTURES):
        console.print(f"{each} ...", highlight=False)
        command = [sys.executable, "-m", "bench.real_size", "--model", each, "--device", device, "--dtype", dtype]
        done = subprocess.run([*command, *part.split(), "--markdown"], stdout=subprocess.PIPE, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith(f"| {each} |")]
        rows += lines
        if done.returncode or not lines:
            failed.append(each)
        console.print("\n".join(lines) or f"{each} could not be measured", highlight=False, markup=False)
    if not rows:
        raise typer.Exit(1)
    text = page.read_text()
    page.write_text(with_table(text, caption(device, dtype, part, failed), rows))


def _check(page: Path) -> None:
    """Raise `InvalidRequest` for a page that has no place for the table, before anything is measured."""
    try:
        with_table(page.read_text(), "", [])
    except (OSError, ValueError) as error:
        raise InvalidRequest("page", f"--page {page}: the table cannot go there: {error}") from None


def caption(device: str, dtype: str, part: str, failed: Sequence[str]) -> str:
    """What made the table."""
    options = f"`python -m bench.real_size.page --device {device} --dtype {dtype}{f' --part {part!r}' if part else ''}`"
    machine = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "diffusers", "cache-dit"))
    missing = f"\nCould not be measured: {', '.join(failed)}." if failed else ""
    return f"{options}, {datetime.now(UTC).date().isoformat()}, {machine}, {versions}.{missing}"


def with_table(page: str, says: str, rows: Sequence[str]) -> str:
    """The page with another table between its two marks. Raises `ValueError` for a page without them."""
    before, mark, rest = page.partition(BEGINNING)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"the page has no {BEGINNING} with a {END} after it")
    return "\n".join([f"{before}{BEGINNING}", "", says, "", HEAD, *rows, "", f"{END}{after}"])


if __name__ == "__main__":
    run_command("bench.real_size.page", main)
