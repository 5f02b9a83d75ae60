"""What a full and a predicted step cost at real size: real architectures, random weights, decisions that are given.

python -m bench.real_size --model wan2.1-1.3b --device cuda --dtype bfloat16
python -m bench.real_size --model wan2.1-1.3b --blocks 1 --heads 2 --width 208 --height 240 --frames 17

The second fits on a CPU: fewer blocks and heads, smaller pictures. `make bench-gpu` runs all models on a GPU, each in a
process of its own, and writes the table of docs/benchmarks.md. Nothing is learned here from what is generated, so
the weights may be anything; time and memory do not depend on them.
"""

from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table

from bench.program import run_command
from bench.real_size import methods
from bench.real_size.architectures import HEAD, Architecture, Size, named
from bench.real_size.loop import Loop, Run, peak
from bench.real_size.options import (
    BlocksOption,
    DeviceOption,
    DtypeOption,
    FramesOption,
    HeadsOption,
    ModelOption,
    SideOption,
)
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import LEAST_SF
from workers.models.catalogue import families

console = Console(width=140)
MIB = 2**20
DBCACHE = "DBCache + Taylor (cache-dit)"


@dataclass(frozen=True)
class Measured:
    """full_step: seconds without any method; peak: bytes meanwhile; runs: by method. left_out: why, by method.

    recording: for the paper's calibration, in parts of a step. arithmetic: see `methods.arithmetic`.
    """

    full_step: float
    peak: int | None
    runs: dict[str, Run]
    left_out: dict[str, str]
    recording: float
    arithmetic: float

    def speedup(self, run: Run) -> float:
        """The loop without over the one with the method."""
        return self.full_step * len(run.decisions) / run.loop


def measure(architecture: Architecture, size: Size, rule: methods.Rule) -> Measured:
    """Run the loop as it is, with each method and with a recorder, on torch's default device and dtype."""
    transformer = architecture.transformer(size)
    layout = families()[architecture.family].layout()
    loop = Loop(transformer, layout, architecture.streams, architecture.inputs(size))
    loop.run(1, None)  # the first step of a process is slow
    full = fmean(seconds for _, seconds in loop.run(2, None))
    most = peak(lambda: loop.run(1, None))
    paper = methods.paper(loop, rule)
    recording = methods.recording(loop)
    ratio = methods.arithmetic(size.tokens, (size.heads or architecture.heads) * HEAD)
    runs = {
        "ours": methods.covariance(loop, rule.steps, paper.decisions.count("F")),
        "paper": paper,
        "TaylorSeer (diffusers)": methods.taylorseer(loop, rule),
    }
    left_out = {}
    if len(loop.blocks) < architecture.dbcache_blocks:
        left_out[DBCACHE] = f"left out: it needs {architecture.dbcache_blocks} blocks or more"
    else:
        runs[DBCACHE] = methods.cache_dit(loop, paper.decisions)
    return Measured(full, most, runs, left_out, recording, ratio)


def main(
    model: ModelOption = "wan2.1-1.3b",
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    steps: Annotated[int, typer.Option(help="Of the loop with the cache.", max=methods.MOST_STEPS)] = 20,
    sf: Annotated[int, typer.Option(help="Full steps at the start of the paper's method.", min=LEAST_SF)] = 4,
    max_skip: Annotated[int, typer.Option(help="Predicted steps between two full ones after that.", min=1)] = 2,
    blocks: BlocksOption = None,
    heads: HeadsOption = None,
    width: SideOption = None,
    height: SideOption = None,
    frames: FramesOption = None,
    markdown: Annotated[bool, typer.Option(help="Print the rows of a page's table, and nothing else.")] = False,
) -> None:
    """Measure one model with each method. Those that cannot run on so few blocks are left out, with the reason."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest("device", "--device cuda: this torch sees no CUDA device")
    if steps < sf + 2:
        raise InvalidRequest(
            "steps", f"--steps {steps} must be {sf + 2} or more: else none is predicted with --sf {sf}"
        )
    architecture = named(model)
    size = architecture.resized(width=width, height=height, frames=frames, blocks=blocks, heads=heads)
    torch.set_default_device(device)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        measured = measure(architecture, size, methods.Rule(steps, sf, max_skip))
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    if markdown:
        print(*("| " + " | ".join((model, *row)) + " |" for row in rows(measured)), sep="\n")
        return
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    part = (
        f"{blocks or architecture.blocks} of {architecture.blocks} blocks, {size.frames} × {size.width} × {size.height}"
    )
    title = f"{model}: {part}, {size.tokens:,} tokens, {len(architecture.streams)} streams, {dtype}, {name}"
    table = Table("", "full step", "predicted step", "loop", "cache", "peak memory", title=title)
    for row in rows(measured):
        table.add_row(*row)
    console.print(table)
    for each, run in measured.runs.items():
        console.print(f"{run.decisions}  {each}", highlight=False)
    console.print(f"recording for the paper's calibration: {measured.recording:.2%} of a step")
    console.print(f"the paper's prediction by itself: {measured.arithmetic:.2f} × y + c·d over the same tensors")


def rows(measured: Measured) -> list[tuple[str, ...]]:
    """A row a method: its name, full step, predicted step, loop, cache, peak memory; or why it was left out."""

    def memory(value: int | None) -> str:
        return "-" if value is None else f"{value / MIB:,.1f} MiB"

    lines: list[tuple[str, ...]] = [
        ("none", f"{measured.full_step * 1000:.1f} ms", "-", "1.00x", "-", memory(measured.peak))
    ]
    for name, run in measured.runs.items():
        more, speedup = run.full_step / measured.full_step - 1.0, measured.speedup(run)
        lines.append(
            (
                name,
                f"{run.full_step * 1000:.1f} ms, {more:+.1%}",
                f"{run.predicted_step * 1000:.2f} ms, {run.predicted_step / measured.full_step:.2%}",
                f"{speedup:.2f}x, {speedup / run.by_steps:.1%} of steps / full steps",
                memory(run.cache_bytes),
                memory(run.peak),
            )
        )
    lines.extend((name, reason, "-", "-", "-", "-") for name, reason in measured.left_out.items())
    return lines


if __name__ == "__main__":
    run_command("bench.real_size", main)
