"""What a full and a predicted step cost at real size: real architectures, random weights, decisions that are given.

python -m bench.real_size --model wan2.1-1.3b --device cuda --dtype bfloat16
python -m bench.real_size --model wan2.1-1.3b --blocks 1 --heads 2 --width 208 --height 240 --frames 17

The second fits on a CPU: fewer blocks and heads, smaller pictures. Nothing is learned here from what is generated, so
the weights may be anything; time and memory do not depend on them.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Annotated, Any, Self

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.architectures import ARCHITECTURES, HEAD, Architecture, Size
from workers.caching.transformer import BlockLayout, CacheMethod, attached
from workers.models.catalogue import families
from workers.scalingcache.budget import opening
from workers.scalingcache.forecast import Forecast
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.estimation import Recorder
from workers.scalingcache.paper.predictor import predict
from workers.scalingcache.paper.session import Session
from workers.scalingcache.priors import usual
from workers.scalingcache.quadrature import Response
from workers.scalingcache.schedule import plan

console = Console(width=120)
MIB = 2**20


@dataclass
class Loop:
    """A denoising loop over a transformer: its streams one after the other, then one Euler step."""

    transformer: Any  # a module with diffusers' `cache_context`
    layout: BlockLayout
    streams: Sequence[str]
    inputs: dict[str, Tensor]

    @torch.no_grad()
    def run(self, steps: int, method: CacheMethod | None) -> list[tuple[bool, float]]:
        """(whether it was full, seconds) of each step."""
        taken = []
        latents = self.inputs["hidden_states"]
        with attached(self.transformer, self.layout, method) if method is not None else nullcontext():
            for _ in range(steps):
                began, full = self._now(), method is None or method.full
                latents = latents - self._velocity(latents) / steps
                if method is not None:
                    method.end_step()
                taken.append((full, self._now() - began))
        return taken

    @torch.no_grad()
    def run_forecast(self, forecast: Forecast) -> list[tuple[bool, float]]:
        """As `run`, with a forecast in the place of the Euler step."""
        taken = []
        latents = self.inputs["hidden_states"]
        for _ in range(forecast.response.steps):
            began, full = self._now(), forecast.full
            latents = forecast.step(self._velocity(latents) if full else None, latents)
            taken.append((full, self._now() - began))
        return taken

    def _velocity(self, latents: Tensor) -> Tensor:
        """What the streams give, as guidance puts it together."""
        outputs: list[Tensor] = []
        for stream in self.streams:
            with self.transformer.cache_context(stream):
                arguments = self.inputs | {"hidden_states": latents}
                outputs.append(self.transformer(**arguments, return_dict=False)[0])
        return outputs[-1] + 5.0 * (outputs[0] - outputs[-1])

    def _now(self) -> float:
        if (device := self.inputs["hidden_states"].device).type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()


@dataclass
class TimedRecorder(Recorder):
    """A recorder that knows how long it takes."""

    seconds: float = field(default=0.0, init=False)

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """As `Recorder.observe`, timed."""
        began = _now(hidden.device)
        super().observe(stream, block, hidden)
        self.seconds += _now(hidden.device) - began


@dataclass(frozen=True)
class Run:
    """A loop with one method. Seconds are means over steps, of all steps for `loop`; memory in bytes.

    peak: of the device, None where it does not tell.
    """

    decisions: str
    full_step: float
    predicted_step: float
    loop: float
    cache_bytes: int
    peak: int | None

    @classmethod
    def of(cls, taken: list[tuple[bool, float]], cache_bytes: int, peak: int | None) -> Self:
        """From (whether it was full, seconds) of each step; the first full one is not counted."""
        return cls(
            decisions="".join("F" if full else "P" for full, _ in taken),
            full_step=fmean([seconds for full, seconds in taken if full][1:]),
            predicted_step=fmean(seconds for full, seconds in taken if not full),
            loop=sum(seconds for _, seconds in taken),
            cache_bytes=cache_bytes,
            peak=peak,
        )

    @property
    def by_steps(self) -> float:
        """Steps over full steps: the speedup if predicted steps cost nothing."""
        return len(self.decisions) / self.decisions.count("F")


@dataclass(frozen=True)
class Measured:
    """full_step: seconds without any method; peak: bytes meanwhile; runs: by method; recording: of a step."""

    full_step: float
    peak: int | None
    runs: dict[str, Run]
    recording: float

    def speedup(self, run: Run) -> float:
        """The loop without over the one with the method."""
        return self.full_step * len(run.decisions) / run.loop


def measure(architecture: Architecture, size: Size, *, steps: int, sf: int, max_skip: int) -> Measured:
    """Run the loop as it is, with each method and with a recorder, on torch's default device and dtype."""
    transformer = architecture.transformer(size)
    layout = families()[architecture.family].layout()
    loop = Loop(transformer, layout, architecture.streams, architecture.inputs(size))
    blocks = len(layout.blocks(transformer))
    loop.run(1, None)  # the first step of a process is slow
    full = fmean(seconds for _, seconds in loop.run(2, None))
    peak = _peak(lambda: loop.run(1, None))
    paper = _paper(loop, blocks, steps, sf, max_skip)
    runs = {"paper": paper, "covariance": _covariance(loop, steps, paper.decisions.count("F"))}
    return Measured(full, peak, runs, _recording(loop, blocks))


def _paper(loop: Loop, blocks: int, steps: int, sf: int, max_skip: int) -> Run:
    # A threshold that no error reaches: what is predicted is then up to `max_skip` alone.
    session = Session(IntervalSettings(sf, 1e9, max_skip), torch.full((steps, blocks), 0.9))
    taken: list[tuple[bool, float]] = []
    peak = _peak(lambda: taken.extend(loop.run(steps, session)))
    return Run.of(taken, session.peak_cache_bytes, peak)


def _covariance(loop: Loop, steps: int, count: int) -> Run:
    """As many full steps, on the prior, of an Euler solver."""
    levels = np.linspace(1.0, 1.0 / steps, steps)
    euler = Response(np.ones(steps + 1), np.tril(np.ones((steps + 1, steps)), -1) / -steps)
    forecast = Forecast(usual(levels), euler, plan(usual(levels).matrix, count, opening(count, 0)))
    taken: list[tuple[bool, float]] = []
    peak = _peak(lambda: taken.extend(loop.run_forecast(forecast)))
    return Run.of(taken, forecast.peak_cache_bytes, peak)


def _recording(loop: Loop, blocks: int) -> float:
    """What recording for the paper's calibration takes, in parts of a step."""
    recorder = TimedRecorder(blocks)
    loop.run(2, recorder)
    recorder.seconds = 0.0  # The first two steps have less to compare with.
    recorded = loop.run(1, recorder)[0][1]
    return recorder.seconds / (recorded - recorder.seconds)


def arithmetic(tokens: int, channels: int, repeats: int = 7) -> float:
    """How long a prediction's own arithmetic takes, in times of a plain `y + c * d` over the same tensors."""
    y, d = torch.randn(1, tokens, channels), torch.randn(1, tokens, channels)

    def best(work: Callable[[], Any]) -> float:
        times = []
        for _ in range(repeats):
            began = _now(y.device)
            work()
            times.append(_now(y.device) - began)
        return min(times)

    best(lambda: y + 0.5 * d)
    return best(lambda: predict(y, d, 0.5)) / best(lambda: y + 0.5 * d)


def _peak(work: Callable[[], Any]) -> int | None:
    """The most memory that was allocated on the device meanwhile."""
    on_cuda = torch.get_default_device().type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() if on_cuda else None


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main(
    model: Annotated[str, typer.Option(help=f"One of {', '.join(ARCHITECTURES)}.")] = "wan2.1-1.3b",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    steps: Annotated[int, typer.Option(help="Of the loop with the cache.")] = 20,
    sf: Annotated[int, typer.Option(help="Full steps at the start of the paper's method.")] = 4,
    max_skip: Annotated[int, typer.Option(help="Predicted steps between two full ones after that.")] = 2,
    blocks: Annotated[int | None, typer.Option(help="Build fewer blocks.")] = None,
    heads: Annotated[int | None, typer.Option(help=f"Build narrower blocks, of so many heads of {HEAD}.")] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames.")] = None,
) -> None:
    """Measure one model and print the row for the documentation."""
    architecture = ARCHITECTURES[model]
    options = {"width": width, "height": height, "frames": frames, "blocks": blocks, "heads": heads}
    size = replace(architecture.size, **{name: value for name, value in options.items() if value is not None})
    torch.set_default_device(device)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        measured = measure(architecture, size, steps=steps, sf=sf, max_skip=max_skip)
        channels = (heads or architecture.heads) * HEAD
        ratio = arithmetic(size.tokens, channels)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    part = (
        f"{blocks or architecture.blocks} of {architecture.blocks} blocks, {size.frames} × {size.width} × {size.height}"
    )
    table = Table(show_header=False, title=f"{model}: {part}, {len(architecture.streams)} streams, {dtype}, {name}")
    for row in rows(measured, size.tokens, channels, ratio):
        table.add_row(*row)
    console.print(table)


def rows(measured: Measured, tokens: int, channels: int, ratio: float) -> list[tuple[str, str]]:
    """What is printed, as name and value."""

    def memory(value: int | None) -> str:
        return "not told by this device" if value is None else f"{value / MIB:.0f} MiB"

    lines = [
        ("tokens × channels", f"{tokens:,} × {channels:,}"),
        ("full step, peak memory", f"{measured.full_step * 1000:.1f} ms, {memory(measured.peak)}"),
    ]
    for name, run in measured.runs.items():
        cost, more = run.predicted_step / measured.full_step, run.full_step / measured.full_step - 1.0
        speedup = measured.speedup(run)
        lines += [
            (f"{name}: decisions", run.decisions),
            (f"{name}: full step", f"{run.full_step * 1000:.1f} ms, {more:+.1%}"),
            (f"{name}: predicted step", f"{run.predicted_step * 1000:.2f} ms, {cost:.2%} of a full one"),
            (f"{name}: loop", f"{speedup:.2f}x, {speedup / run.by_steps:.1%} of steps / full steps"),
            (f"{name}: cache, peak memory", f"{run.cache_bytes / MIB:.1f} MiB, {memory(run.peak)}"),
        ]
    return [
        *lines,
        ("paper: recording for calibration", f"{measured.recording:.2%} of a step"),
        ("paper: a prediction's arithmetic", f"{ratio:.2f} × y + c·d over the same tensors"),
    ]


if __name__ == "__main__":
    typer.run(main)
