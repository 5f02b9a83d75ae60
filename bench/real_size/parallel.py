"""How much faster several GPUs compute a step together, and a loop with the cache: real architectures, random weights.

torchrun --nproc-per-node 4 -m bench.real_size.parallel --model wan2.1-14b --device cuda --dtype bfloat16 \
    --attention-backend _native_cudnn --ulysses 2 --ring 2
torchrun --nproc-per-node 2 -m bench.real_size.parallel --cfg 2 --blocks 1 --heads 2 --width 208 --height 240 \
    --frames 17

The second fits on a CPU. Every process first runs the loop alone, and then its share of it; a time is that of the rank
that took longest.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

import torch
import torch.distributed as dist
import typer
from rich.console import Console
from rich.table import Table

from bench.program import run_command
from bench.real_size import methods
from bench.real_size.architectures import Architecture, Size, named
from bench.real_size.loop import Loop
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
from workers.models.catalogue import families
from workers.models.entry import Parallel
from workers.parallel.guidance import one_stream_each
from workers.parallel.seat import torchrun_seat
from workers.parallel.sequence import complaint, split
from workers.parallel.world import CFG, World

console = Console(width=140)


@dataclass(frozen=True)
class Times:
    """Seconds. full_step: without any method, a mean. loop: of all steps with the cache, whose decisions are given."""

    full_step: float
    loop: float
    decisions: str


@dataclass(frozen=True)
class Measured:
    """difference: between what one process and all together gave for a step, relative to the largest value."""

    alone: Times
    together: Times
    difference: float


@dataclass(frozen=True)
class Case:
    """What is run. attention_backend: one of diffusers'; None leaves torch's own."""

    architecture: Architecture
    size: Size
    parallel: Parallel
    steps: int
    full_steps: int
    attention_backend: str | None = None


def measure(case: Case, world: World) -> Measured:
    """Run the case on torch's default device and dtype. Every rank calls it.

    Raises `ValueError` where the architecture cannot be split so.
    """
    architecture, parallel = case.architecture, case.parallel
    family = families()[architecture.family]
    torch.manual_seed(0)  # The same weights and inputs on every rank.
    transformer = architecture.transformer(case.size)
    if case.attention_backend is not None:
        transformer.set_attention_backend(case.attention_backend)  # type: ignore[operator]  # a module of diffusers
    loop = Loop(transformer, family.layout(), architecture.streams, architecture.inputs(case.size))
    alone, expected = _times(loop, case), _velocity(loop)
    mesh = world.mesh(parallel.cfg, parallel.ring, parallel.ulysses)
    if parallel.shards > 1:
        plan = family.sequence_plan()
        unfit = complaint(int(loop.transformer.config.num_attention_heads), parallel.ulysses, parallel.ring, plan)
        if unfit is not None or plan is None:
            raise ValueError(unfit)
        split(transformer, plan, mesh)
    with one_stream_each([transformer], mesh[CFG].get_group()) if parallel.cfg == 2 else nullcontext():
        together, given = _times(loop, case), _velocity(loop)
    difference = float((given - expected).abs().max() / expected.abs().max())
    return Measured(alone, together, difference)


@torch.no_grad()
def _velocity(loop: Loop) -> torch.Tensor:
    return loop.velocity(loop.inputs["hidden_states"]).float()


def _times(loop: Loop, case: Case) -> Times:
    """Of this loop, the longest of all ranks."""
    loop.run(1, None)  # the first step of a process is slow
    dist.barrier()
    full = fmean(seconds for _, seconds in loop.run(2, None))
    dist.barrier()
    run = methods.covariance(loop, case.steps, case.full_steps)
    longest = torch.tensor([full, run.loop], dtype=torch.float64, device="cpu")
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    return Times(float(longest[0]), float(longest[1]), run.decisions)


def main(
    model: ModelOption = "wan2.1-1.3b",
    cfg: Annotated[int, typer.Option(help="2: each half of the processes computes one stream.", min=1, max=2)] = 1,
    ulysses: Annotated[int, typer.Option(help="Processes that share the attention heads.", min=1, max=64)] = 1,
    ring: Annotated[int, typer.Option(help="Processes that hand keys and values around.", min=1, max=64)] = 1,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    attention_backend: Annotated[str | None, typer.Option(help="One of diffusers'.")] = None,
    steps: Annotated[int, typer.Option(help="Of the loop with the cache.", min=4, max=methods.MOST_STEPS)] = 20,
    full_steps: Annotated[int, typer.Option(help="Of these: two first, one last, and more.", min=3)] = 7,
    blocks: BlocksOption = None,
    heads: HeadsOption = None,
    width: SideOption = None,
    height: SideOption = None,
    frames: FramesOption = None,
) -> None:
    """Measure one model on the processes that torchrun has started."""
    architecture = named(model)
    if cfg == ulysses == ring == 1:
        raise InvalidRequest(
            "ranks", "--cfg, --ulysses and --ring are all 1, which is one process: give one of them more"
        )
    parallel = Parallel.model_validate({"cfg": cfg, "ulysses": ulysses, "ring": ring})
    seat = torchrun_seat()
    if seat is None or seat.ranks != parallel.ranks:
        raise InvalidRequest(
            "ranks", f"start it by: torchrun --nproc-per-node {parallel.ranks} -m bench.real_size.parallel"
        )
    if cfg == 2 and len(architecture.streams) == 1:
        raise InvalidRequest("cfg", f"--cfg 2 must be 1: {model} has one stream")
    if full_steps >= steps:
        raise InvalidRequest("full_steps", f"--full-steps {full_steps} must be less than --steps, which is {steps}")
    size = architecture.resized(width=width, height=height, frames=frames, blocks=blocks, heads=heads)
    if size.tokens % parallel.shards:
        raise InvalidRequest(
            "size", f"{size.tokens} tokens must be a multiple of {parallel.shards}, ulysses times ring"
        )
    case = Case(architecture, size, parallel, steps, full_steps, attention_backend)
    served = seat.serve()
    world = World(seat, seat.device(device))
    torch.set_default_device(world.device)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        measured = measure(case, world)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    if world.rank == 0:
        _show(f"{model}, {size.blocks or architecture.blocks} blocks, {size.tokens:,} tokens, {dtype}", case, measured)
    dist.barrier()
    world.close()
    del served  # Until here the others have used it.


def _show(title: str, case: Case, measured: Measured) -> None:
    alone, together = measured.alone, measured.together
    table = Table("", "full step", "faster", "loop with the cache", "faster than one without", title=title)
    for name, times in (("one process", alone), (case.parallel.shown(), together)):
        without = alone.full_step * len(times.decisions)
        step, faster = f"{times.full_step * 1000:.1f} ms", f"{alone.full_step / times.full_step:.2f}x"
        table.add_row(name, step, faster, f"{times.loop:.2f} s", f"{without / times.loop:.2f}x")
    console.print(table)
    console.print(f"{together.decisions}  {together.decisions.count('F')} full steps", highlight=False)
    console.print(f"largest difference of a step's output: {measured.difference:.1e} of the largest value")


if __name__ == "__main__":
    run_command("bench.real_size.parallel", main)
