"""When to compute: Eq. 7-8 and Alg. 1, one decision a step for all streams together. No tensors of the model here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from workers.scalingcache.paper.predictor import decay
from workers.scalingcache.paper.segments import slices, split_sf


@dataclass(frozen=True)
class IntervalSettings:
    """The knobs of the dynamic interval. What each was measured to cost and bring:
    [docs/paper.md](../../../docs/paper.md#the-settings-as-measured).

    sf: S_f, the number of full steps at the start, at least 2: a difference needs two. The speed knob of a request,
        which always says it, so it has no default here.
    kappa: scale of the threshold, delta = kappa · mean(E). 1 because that is the paper's rule; calibration fits another
        where it would not give 2-3 times the speed.
    max_skip: the longest run of predicted steps. A predicted step brings no new observation, so an interval that the
        error estimate never ends would drift. Lower is slower and closer to the uncached result. 4 because it puts
        sf = 10 of 50 steps at the paper's speedup.
    final_full_steps: full steps at the end, where fine detail forms. 1 because with every sf the last step is then one;
        a second costs a step for 2 dB, more bring nothing.
    """

    sf: int
    kappa: float = 1.0
    max_skip: int = 4
    final_full_steps: int = 1

    def __post_init__(self) -> None:
        if self.sf < 2:
            raise ValueError(f"sf {self.sf} must be at least 2: a difference needs two full steps")
        if self.kappa <= 0:
            raise ValueError(f"kappa {self.kappa} must be positive")
        if self.max_skip < 1 or self.final_full_steps < 0:
            raise ValueError(f"max_skip {self.max_skip} must be >= 1, final_full_steps {self.final_full_steps} >= 0")


@dataclass
class IntervalController:
    """Decides for each step of one generation whether it is computed in full.

    Call `finish` at the end of every step; `full` then speaks of the next one. At a full step the relative change rho
    of the step is all that is needed to know the whole interval after it, so nothing is read at predicted steps.

    alpha: coefficients `[steps, blocks]`, float64.
    """

    settings: IntervalSettings
    alpha: Tensor
    step: int = 0
    tau: int = 0
    epsilon: float = 0.0
    decisions: str = ""
    epsilons: list[float] = field(default_factory=list)
    deltas: list[float] = field(default_factory=list)
    _changes: list[float] = field(default_factory=list)  # the paper's E
    _rho: Tensor | None = None  # [streams, blocks] at tau

    @property
    def steps(self) -> int:
        """How many steps the generation has."""
        return len(self.alpha)

    @property
    def delta(self) -> float:
        """The threshold, kappa · mean(E); 0 as long as no change was observed."""
        return self.settings.kappa * sum(self._changes) / len(self._changes) if self._changes else 0.0

    @property
    def full(self) -> bool:
        """Whether the current step is computed in full."""
        s = self.settings
        return (
            self.step < s.sf
            or self.step >= self.steps - s.final_full_steps
            or self.step - self.tau > s.max_skip
            or not self.epsilon <= self.delta  # a change that is not finite is no reason to predict
        )

    def finish(self, rho: Tensor | None = None) -> None:
        """End the current step.

        rho: `[streams, blocks]`, the relative change |Delta|₁ / |y|₁ of each block's output at this full step. None at
            predicted steps, and at step 0, which has no difference yet.
        """
        full = self.full
        self.epsilons.append(self.epsilon)
        self.deltas.append(self.delta)
        self.decisions += "F" if full else "P"
        if full:
            self._observe(rho)
        elif self._rho is not None:
            self.epsilon += float((decay(self.alpha, self.tau, self.step).abs() * self._rho).mean())
        self.step += 1

    def _observe(self, rho: Tensor | None) -> None:
        self.tau, self._rho = self.step, rho
        if rho is None:
            self.epsilon = 0.0
        else:
            self.epsilon = float(rho.mean())
            if math.isfinite(self.epsilon):
                self._changes.append(self.epsilon)


def expert_settings(settings: IntervalSettings, segments: Sequence[int]) -> list[IntervalSettings]:
    """The knobs of each expert of a run: its share of sf; final full steps only for the one that ends the run."""
    final = [0] * (len(segments) - 1) + [settings.final_full_steps]
    return [
        replace(settings, sf=sf, final_full_steps=last)
        for sf, last in zip(split_sf(settings.sf, segments), final, strict=True)
    ]


def simulate(rho: Tensor, alpha: Tensor, settings: IntervalSettings, segments: Sequence[int] = ()) -> str:
    """The decision string for recorded changes, without a model.

    rho: `[steps, streams, blocks]` of a run computed in full, where each difference spans one step; the difference that
        a longer interval would see is taken to be the same, which Eq. 6 aims at. The first row of a segment is ignored.
    segments: how many consecutive steps each expert computes; empty for a model without experts.
    """
    decisions = ""
    parts = slices(segments, len(rho))
    for part, knobs in zip(parts, expert_settings(settings, segments or (len(rho),)), strict=True):
        controller = IntervalController(knobs, alpha[part])
        for i, change in enumerate(rho[part]):
            controller.finish(change if controller.full and i > 0 else None)
        decisions += controller.decisions
    return decisions


def mean_full_steps(
    rhos: list[Tensor], alpha: Tensor, settings: IntervalSettings, segments: Sequence[int] = ()
) -> float:
    """The expected number of full steps over recorded runs."""
    counts = [simulate(rho, alpha, settings, segments).count("F") for rho in rhos]
    return float(torch.tensor(counts, dtype=torch.float64).mean())
