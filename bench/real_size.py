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
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.architectures import ARCHITECTURES, HEAD, Architecture, Size
from workers.caching.transformer import BlockLayout, CacheMethod, attached
from workers.models.catalogue import families
from workers.scalingcache.paper.controller import IntervalSettings
from workers.scalingcache.paper.estimation import Recorder
from workers.scalingcache.paper.predictor import predict
from workers.scalingcache.paper.session import Session

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
                for stream in self.streams:
                    with self.transformer.cache_context(stream):
                        arguments = self.inputs | {"hidden_states": latents}
                        velocity = self.transformer(**arguments, return_dict=False)[0]
                latents = latents - velocity / steps
                if method is not None:
                    method.end_step()
                taken.append((full, self._now() - began))
        return taken

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
class Measured:
    """Seconds are means over steps; memory in bytes, None where the device does not tell."""

    decisions: str
    full_step: float
    predicted_step: float
    loop: float
    cache_bytes: int
    peak: int | None
    peak_with_cache: int | None
    recording: float

    @property
    def by_steps(self) -> float:
        """Steps over full steps: the speedup if predicted steps cost nothing."""
        return len(self.decisions) / self.decisions.count("F")

    @property
    def speedup(self) -> float:
        """The loop without over with the cache."""
        return self.full_step * len(self.decisions) / self.loop


def measure(architecture: Architecture, size: Size, *, steps: int, sf: int, max_skip: int) -> Measured:
    """Run the loop as it is, with the cache and with a recorder, on torch's default device and dtype."""
    transformer = architecture.transformer(size)
    layout = families()[architecture.family].layout()
    loop = Loop(transformer, layout, architecture.streams, architecture.inputs(size))
    blocks = len(layout.blocks(transformer))
    loop.run(1, None)  # the first step of a process is slow
    full = fmean(seconds for _, seconds in loop.run(2, None))
    peak = _peak(lambda: loop.run(1, None))

    # A threshold that no error reaches: what is predicted is then up to `max_skip` alone.
    session = Session(IntervalSettings(sf, 1e9, max_skip), torch.full((steps, blocks), 0.9))
    taken: list[tuple[bool, float]] = []
    peak_with_cache = _peak(lambda: taken.extend(loop.run(steps, session)))

    recorder = TimedRecorder(blocks)
    loop.run(2, recorder)
    recorder.seconds = 0.0  # The first two steps have less to compare with.
    recorded = loop.run(1, recorder)[0][1]
    return Measured(
        decisions=session.controller.decisions,
        full_step=full,
        predicted_step=fmean(seconds for whether, seconds in taken if not whether),
        loop=sum(seconds for _, seconds in taken),
        cache_bytes=session.peak_cache_bytes,
        peak=peak,
        peak_with_cache=peak_with_cache,
        recording=recorder.seconds / (recorded - recorder.seconds),
    )


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
    sf: Annotated[int, typer.Option(help="Full steps at its start.")] = 4,
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

    cost = measured.predicted_step / measured.full_step
    reached = measured.speedup / measured.by_steps
    return [
        ("tokens × channels", f"{tokens:,} × {channels:,}"),
        ("decisions", measured.decisions),
        ("full step", f"{measured.full_step * 1000:.1f} ms"),
        ("predicted step", f"{measured.predicted_step * 1000:.2f} ms, {cost:.2%} of a full one"),
        ("loop", f"{measured.speedup:.2f}x, {reached:.1%} of steps / full steps = {measured.by_steps:.2f}"),
        ("cache", f"{measured.cache_bytes / MIB:.1f} MiB"),
        ("peak memory without, with cache", f"{memory(measured.peak)}, {memory(measured.peak_with_cache)}"),
        ("recording for calibration", f"{measured.recording:.2%} of a step"),
        ("a prediction's arithmetic", f"{ratio:.2f} × y + c·d over the same tensors"),
    ]


if __name__ == "__main__":
    typer.run(main)
