"""A denoising loop over a transformer, and what its steps take."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self

import torch
from torch import Tensor, nn

from workers.caching.transformer import BlockLayout, CacheMethod, attached
from workers.scalingcache.forecast import Forecast

Taken = list[tuple[bool, float]]
"""(whether it was full, seconds) of each step."""


@dataclass
class Loop:
    """A denoising loop over a transformer: its streams one after the other, then one Euler step."""

    transformer: Any  # a module with diffusers' `cache_context`
    layout: BlockLayout
    streams: Sequence[str]
    inputs: dict[str, Tensor]

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer's, in the order in which they run."""
        return list(self.layout.blocks(self.transformer))

    @torch.no_grad()
    def run(self, steps: int, method: CacheMethod | None) -> Taken:
        """With a method of this project around the blocks, or as the transformer is."""
        taken = []
        latents = self.inputs["hidden_states"]
        with attached(self.transformer, self.layout, method) if method is not None else nullcontext():
            for _ in range(steps):
                began, full = self.now(), method is None or method.full
                latents = latents - self.velocity(latents) / steps
                if method is not None:
                    method.end_step()
                taken.append((full, self.now() - began))
        return taken

    @torch.no_grad()
    def run_forecast(self, forecast: Forecast) -> Taken:
        """As `run`, with a forecast in the place of the Euler step."""
        taken = []
        latents = self.inputs["hidden_states"]
        for _ in range(forecast.response.steps):
            began, full = self.now(), forecast.full
            latents = forecast.step(self.velocity(latents) if full else None, latents)
            taken.append((full, self.now() - began))
        return taken

    @torch.no_grad()
    def run_altered(self, steps: int) -> Taken:
        """As `run`, of a transformer that a library has altered: a step is full if the last block's layers worked."""
        worked: list[bool] = []
        layer = next(each for each in reversed(list(self.blocks[-1].modules())) if isinstance(each, nn.Linear))
        watch = layer.register_forward_hook(lambda *_: worked.append(True))
        taken = []
        latents = self.inputs["hidden_states"]
        try:
            for _ in range(steps):
                began = self.now()
                latents = latents - self.velocity(latents) / steps
                taken.append((bool(worked), self.now() - began))
                worked.clear()
        finally:
            watch.remove()
        return taken

    def velocity(self, latents: Tensor) -> Tensor:
        """What the streams give, as guidance puts it together."""
        outputs: list[Tensor] = []
        for stream in self.streams:
            with self.transformer.cache_context(stream):
                arguments = self.inputs | {"hidden_states": latents}
                outputs.append(self.transformer(**arguments, return_dict=False)[0])
        return outputs[-1] + 5.0 * (outputs[0] - outputs[-1])

    def now(self) -> float:
        """Seconds, when all that the device was given is done."""
        return now(self.inputs["hidden_states"].device)


def now(device: torch.device) -> float:
    """Seconds, when all that the device was given is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(work: Callable[[], Any]) -> int | None:
    """The most memory that was allocated on the default device meanwhile; None where it does not tell."""
    on_cuda = torch.get_default_device().type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() if on_cuda else None


@dataclass(frozen=True)
class Run:
    """A loop with one method. Seconds are means over steps, of all steps for `loop`; memory in bytes.

    cache_bytes: None where the method does not tell. peak: of the device, None where it does not tell.
    """

    decisions: str
    full_step: float
    predicted_step: float
    loop: float
    cache_bytes: int | None
    peak: int | None

    @classmethod
    def of(cls, taken: Taken, cache_bytes: int | None, peak: int | None) -> Self:
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
