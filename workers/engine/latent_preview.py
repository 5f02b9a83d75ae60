"""What a running generation is about to become, seen every few steps without its decoder."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray
from torch import Tensor

from workers import logs
from workers.engine.plan import RunPlan
from workers.engine.preview_budget import PreviewBudget
from workers.jobs.job import StepKind
from workers.media.animation import animation
from workers.models.family import Family

log = structlog.get_logger()

#: The least time between two, in seconds: a watcher hears of no more.
LEAST_SECONDS = 0.5
#: Frames of a preview.
MOST_FRAMES = 6


class Painter(Protocol):
    """Makes pictures of latents: `LatentColours`, or a `TinyDecoder`."""

    @property
    def known(self) -> bool:
        """Whether it can."""

    @property
    def learns(self) -> bool:
        """Whether it becomes better by what a run has decoded."""

    def pictures(self, latents: Tensor) -> NDArray[np.uint8]:
        """`[channels, frames, height, width]` as `[frames, height, width, 3]`, RGB, of any height and width."""

    def learn(self, latents: Tensor, frames: NDArray[np.uint8]) -> None:
        """From the latents of a finished run, and what they were decoded to."""


@dataclass(frozen=True)
class Previews:
    """painter, budget: the model's. show: called with the index of a step and its preview as WebP; None where a run is
    only learnt from. now: tells seconds."""

    painter: Painter
    show: Callable[[int, bytes], None] | None = None
    budget: PreviewBudget = field(default_factory=PreviewBudget)
    now: Callable[[], float] = time.perf_counter


class LatentPreviewer:
    """Of one run: looks at what the model gave at full steps, and changes nothing.

    The latents of a step are mostly noise. What the model gives with them says where they lead: to the estimate of the
    result that is shown.
    """

    def __init__(self, family: Family, plan: RunPlan, previews: Previews) -> None:
        self._family, self._plan = family, plan
        self._painter, self._show, self._now = previews.painter, previews.show, previews.now
        self._budget = previews.budget
        self._levels = [float(level) for level in plan.sigmas]
        self._pipeline: Any = None
        self._seen: tuple[Tensor, Tensor] | None = None
        self._final: Tensor | None = None
        self._last: float | None = None
        self._next_at = 0.0
        self._broken = False

    @contextmanager
    def attached(self, pipeline: Any, scheduler: Any) -> Iterator[None]:
        """Inside, what goes into the run's `scheduler.step` is seen, whoever has taken its place."""
        self._pipeline, inner, own = pipeline, scheduler.step, "step" in vars(scheduler)
        self._budget.begin()

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

    def stepped(self, index: int, kind: StepKind) -> None:
        """Step `index` is done, on the device too: show where it leads, if it was computed in full and it is time."""
        self._earn()
        wanted = kind == "full" and self._painter.known and self._now() >= self._next_at
        if self._show is not None and self._seen is not None and not self._broken and wanted and self._budget.allows:
            began = self._now()
            with self._harmless():
                self._show(index, self._preview(index, *self._seen))
            self._budget.spend(self._now() - began)
            self._next_at = self._now() + LEAST_SECONDS
        self._last = self._now()

    def _earn(self) -> None:
        """For the time since the last step; what comes before the first is more than the step."""
        if self._last is not None:
            self._budget.earn(self._now() - self._last)

    def _preview(self, index: int, *seen: Tensor) -> bytes:
        request = self._plan.request
        output, sample = (self._family.latents(self._pipeline, each, request) for each in seen)
        chosen = np.unique(np.linspace(0, output.shape[1] - 1, MOST_FRAMES).round().astype(int)).tolist()
        estimate = sample[:, chosen].float() - self._levels[index] * output[:, chosen].float()
        return animation(self._painter.pictures(estimate), request.width, request.height)

    def learn(self, frames: NDArray[np.uint8]) -> None:
        """The finished run was decoded to these."""
        if self._final is not None and self._painter.learns:
            with self._harmless():
                latents = self._family.latents(self._pipeline, self._final, self._plan.request)
                self._painter.learn(latents.float(), frames)
        self._final = None

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """No run is given up for a preview."""
        try:
            yield
        except Exception as error:
            log.error("previews not made", frames=logs.frames_of(error))
            self._broken = True
