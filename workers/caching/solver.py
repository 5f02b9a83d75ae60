"""Stands a forecast in the place of a pipeline's solver, and takes it away again without a trace.

Nothing of a model is called at a predicted step, so nothing has to be known of its inside: any pipeline that calls its
transformers and then its scheduler's `step` is served as it is.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch
from diffusers.hooks import ModelHook
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor, nn

from workers.caching.hook import hooked
from workers.jobs.errors import UnsupportedPipeline
from workers.scalingcache.response import Response

_OFF = 1e-4  # relative error up to which a solver counts as linear, in float32


class Solver(Protocol):
    """What takes a scheduler's place."""

    @property
    def full(self) -> bool:
        """Whether the model runs at the current step."""

    def step(self, output: Tensor | None, sample: Tensor) -> Tensor:
        """The sample that the next step begins with. output: the model's at a full step, else None."""


class Observer(Protocol):
    """What sees the model's outputs go by."""

    def add(self, step: int, output: Tensor) -> None:
        """The model's output at a step, with guidance."""

    def end(self, result: Tensor) -> None:
        """What the last step gave."""


def measured_response(scheduler: Any, sigmas: Tensor) -> Response:
    """How a scheduler's samples depend on the model's outputs: what becomes of single impulses sent through a copy.

    scheduler: with its timesteps set; sigmas: its noise levels at them, `[steps]`. Raises `UnsupportedPipeline` for
    one whose samples are no weighted sum of what goes in, as those that draw noise.
    """
    copied = copy.deepcopy(scheduler)
    steps = len(copied.timesteps)
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(steps + 1, generator=generator, dtype=torch.float64)
    # A row for each output, one for the first sample, and one for a mixture, which tells whether they add up.
    impulses = torch.cat([torch.eye(steps + 1, dtype=torch.float64), probe.unsqueeze(0)])
    sample = impulses[:, steps:]
    samples = [sample]
    for index, timestep in enumerate(copied.timesteps):
        sample = copied.step(impulses[:, index : index + 1], timestep, sample, return_dict=False)[0].double()
        samples.append(sample)
    table = torch.cat(samples, dim=1).T.numpy()
    single, mixed = table[:, : steps + 1], table[:, steps + 1]
    if not np.allclose(single @ probe.numpy(), mixed, rtol=0.0, atol=_OFF * float(np.abs(table).max())):
        raise UnsupportedPipeline(
            f"scheduler {type(scheduler).__name__} is not linear in the model's outputs, so no step can be predicted"
        )
    return Response(sigmas=sigmas.double().numpy(), start=single[:, steps].copy(), outputs=single[:, :steps].copy())


class _Skip(ModelHook):  # type: ignore[misc]  # diffusers is untyped
    """Answers a transformer's calls at predicted steps with what the last call gave; nobody reads it."""

    def __init__(self, solver: Solver, last: dict[str, Any]) -> None:
        super().__init__()
        self._solver = solver
        self._last = last

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self._solver.full:
            self._last["output"] = self.fn_ref.original_forward(*args, **kwargs)
        return self._last["output"]


@contextmanager
def solved_by(solver: Solver, scheduler: Any, transformers: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, `scheduler.step` asks `solver`, and the transformers run at its full steps alone.

    scheduler: the run's own. Raises `UnsupportedPipeline` when a transformer is in use by another generation.
    """

    def step(output: Tensor, _timestep: Any, sample: Tensor, *_: Any, return_dict: bool = True, **__: Any) -> Any:
        following = solver.step(output if solver.full else None, sample)
        return SchedulerOutput(prev_sample=following) if return_dict else (following,)

    last: dict[str, Any] = {}
    with ExitStack() as undo:
        undo.callback(last.clear)
        for transformer in transformers:
            undo.enter_context(hooked(transformer, _Skip(solver, last)))
        undo.enter_context(_stepped(scheduler, step))
        yield


@contextmanager
def observed_by(observer: Observer, scheduler: Any) -> Iterator[None]:
    """Inside, `observer` sees what goes into `scheduler.step`, whose samples stay as they are."""
    stock, steps, last = scheduler.step, count(), len(scheduler.timesteps) - 1

    def step(model_output: Tensor, *args: Any, **kwargs: Any) -> Any:
        index = next(steps)
        observer.add(index, model_output)
        stepped = stock(model_output, *args, **kwargs)
        if index == last:
            observer.end(stepped[0])
        return stepped

    with _stepped(scheduler, step):
        yield


@contextmanager
def _stepped(scheduler: Any, step: Callable[..., Any]) -> Iterator[None]:
    scheduler.step = step
    try:
        yield
    finally:
        del scheduler.step
