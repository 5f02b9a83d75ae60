"""One run of a rival or without one: its frames before rounding, its final latents, its multiply-adds or its time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.rivals.multiply_adds import counted
from bench.rivals.rival import Case, Knob, Rival, Run
from workers.engine.generation import run_pipeline
from workers.engine.loaded import LoadedModel
from workers.engine.session import Attachment
from workers.jobs.errors import NotFinite
from workers.models.family import Family

Frames = NDArray[np.float32]
"""[frames, height, width, 3] from 0 to 255, not rounded."""


@dataclass(frozen=True)
class Outcome:
    """multiply_adds: in the transformer's blocks. latents: the last ones, as the scheduler left them,
    in the memory of the host."""

    frames: Frames
    latents: Tensor
    multiply_adds: int


@dataclass
class _Keeping:
    """Keeps what a run made on its way, of an attachment or of the stock pipeline."""

    inner: Attachment | None
    decisions: str = ""
    latents: list[Tensor] = field(default_factory=list)
    frames: list[Frames] = field(default_factory=list)

    @contextmanager
    def attached(self, family: Family, transformers: Sequence[nn.Module], scheduler: Any) -> Iterator[None]:
        with self.inner.attached(family, transformers, scheduler) if self.inner else nullcontext():
            stepped = scheduler.step

            def step(*args: Any, **kwargs: Any) -> Any:
                output = stepped(*args, **kwargs)
                self.latents[:] = [output[0]]
                return output

            with patch.object(scheduler, "step", step):
                yield

    def end_step(self) -> None:
        if self.inner is None:
            self.decisions += "F"
        else:
            self.inner.end_step()
            self.decisions = self.inner.decisions


def uncached(model: LoadedModel, case: Case) -> Outcome:
    """The stock pipeline."""
    return _counted(model, Run.of(model, case.request), case)


def accelerated(model: LoadedModel, rival: Rival, case: Case, setting: Knob) -> Outcome:
    """The rival's run of a case. Raises `Refused`, and what a library raises."""
    with rival.engaged(model, case.request, setting) as run:
        return _counted(model, run, case)


def seconds(model: LoadedModel, rival: Rival | None, case: Case, setting: Knob = 0) -> float:
    """How long denoising takes when nothing is counted; without a rival, of the stock pipeline."""
    if rival is None:
        return _denoise(Run.of(model, case.request), case)
    with rival.engaged(model, case.request, setting) as run:
        return _denoise(run, case)


def _denoise(run: Run, case: Case) -> float:
    _, clock = run_pipeline(run.model, run.plan, run.attachment, image=case.image)
    return clock.denoise


def _counted(model: LoadedModel, run: Run, case: Case) -> Outcome:
    # As the family sees them; a rival may have put other transformers into the pipeline.
    transformers = model.family.transformers(run.model.pipeline)
    blocks = [block for transformer in transformers for block in model.family.layout().blocks(transformer)]
    kept = _Keeping(run.attachment)
    # Frames that are not finite are a run that went astray, not a fault: how far says its fidelity.
    with _decoded(model, kept), counted(blocks) as counter, suppress(NotFinite):
        run_pipeline(run.model, run.plan, kept, image=case.image)
    return Outcome(kept.frames[-1], kept.latents[-1].cpu(), counter.total)


@contextmanager
def _decoded(model: LoadedModel, kept: _Keeping) -> Iterator[None]:
    """Inside, what the VAE makes is kept: the engine gives frames in 8 bits."""
    vae = model.pipeline.vae
    decode = vae.decode

    def kept_decode(*args: Any, **kwargs: Any) -> Any:
        output = decode(*args, **kwargs)
        kept.frames[:] = [_frames(output[0])]
        return output

    with patch.object(vae, "decode", kept_decode):
        yield


def _frames(sample: Tensor) -> Frames:
    """sample: `[1, 3, frames, height, width]`, or of an image `[1, 3, height, width]`, from -1 to 1."""
    video = sample if sample.ndim == 5 else sample.unsqueeze(2)
    scaled = (video[0].float() / 2 + 0.5).clamp(0, 1) * 255
    frames: Frames = scaled.permute(1, 2, 3, 0).contiguous().cpu().numpy()
    return frames


def same(a: Outcome, b: Outcome) -> bool:
    """Whether two runs made the same bits."""
    return bool(np.array_equal(a.frames, b.frames)) and bool(torch.equal(a.latents, b.latents))
