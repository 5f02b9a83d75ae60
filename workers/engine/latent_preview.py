"""What a running generation is about to become, seen every few steps without its decoder."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers import logs
from workers.engine.latent_colours import LatentColours
from workers.engine.plan import RunPlan
from workers.media.animation import animation
from workers.models.family import Family

log = structlog.get_logger()

#: The share of a run's time that its previews may take.
SHARE = 0.005
#: The least time between two, in seconds: a watcher hears of no more.
LEAST_SECONDS = 0.5
#: Frames of a preview.
MOST_FRAMES = 6


@dataclass(frozen=True)
class Previews:
    """colours: the model's. show: called with the index of a step and its preview as WebP. now: tells seconds."""

    colours: LatentColours
    show: Callable[[int, bytes], None] = lambda _index, _preview: None
    now: Callable[[], float] = time.perf_counter


class LatentPreviewer:
    """Of one run: looks at what the model gave at full steps, and changes nothing.

    The latents of a step are mostly noise. What the model gives with them says where they lead: to the estimate of the
    result that is shown.
    """

    def __init__(self, family: Family, plan: RunPlan, previews: Previews) -> None:
        self._family, self._plan = family, plan
        self._colours, self._show, self._now = previews.colours, previews.show, previews.now
        self._levels = [float(level) for level in plan.sigmas]
        self._pipeline: Any = None
        self._seen: tuple[Tensor, Tensor] | None = None
        self._final: Tensor | None = None
        self._next_at = 0.0
        self._broken = False

    @contextmanager
    def attached(self, pipeline: Any, scheduler: Any) -> Iterator[None]:
        """Inside, what goes into the run's `scheduler.step` is seen, whoever has taken its place."""
        self._pipeline, inner, own = pipeline, scheduler.step, "step" in vars(scheduler)
        self._next_at = self._now() + self._pause()

        def step(output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
            self._seen = output, sample
            stepped = inner(output, timestep, sample, *args, **kwargs)
            self._final = stepped[0]
            return stepped

        scheduler.step = step
        try:
            yield
        finally:
            self._seen = None
            if own:
                scheduler.step = inner
            else:
                del scheduler.step

    def look(self, index: int) -> None:
        """Step `index` was computed in full: show where it leads, if it is time."""
        if self._broken or self._seen is None or not self._colours.known or self._now() < self._next_at:
            return
        began = self._now()
        with self._harmless():
            output, sample = (self._family.latents(self._pipeline, each, self._plan.request) for each in self._seen)
            chosen = np.unique(np.linspace(0, output.shape[1] - 1, MOST_FRAMES).round().astype(int)).tolist()
            estimate = sample[:, chosen].float() - self._levels[index] * output[:, chosen].float()
            request = self._plan.request
            self._show(index, animation(self._colours.pictures(_host(estimate)), request.width, request.height))
        self._colours.cost_seconds = self._now() - began
        self._next_at = self._now() + self._pause()

    def learn(self, frames: NDArray[np.uint8]) -> None:
        """The finished run was decoded to these."""
        if self._final is not None and self._colours.learns:
            with self._harmless():
                latents = self._family.latents(self._pipeline, self._final, self._plan.request)
                self._colours.learn(_host(latents.float()), frames)
        self._final = None

    def _pause(self) -> float:
        return max(LEAST_SECONDS, self._colours.cost_seconds / SHARE)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """No run is given up for a preview."""
        try:
            yield
        except Exception as error:
            log.error("previews not made", frames=logs.frames_of(error))
            self._broken = True


def _host(latents: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = latents.to("cpu", torch.float32).numpy()
    return array
