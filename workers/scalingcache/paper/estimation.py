"""How coefficients are measured (Eq. 4-5) and how the threshold scale is fitted. Statistics only; no trajectories.

A recorded generation is reduced to inner products per step and block, summed over tokens, channels and streams:
`energy[i] = <d_i, d_i>` and `cross[i] = <d_i, d_{i-1}>` with `d_i = y_i - y_{i-1}`. Everything below follows from them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workers.scalingcache.paper.controller import IntervalSettings, mean_full_steps
from workers.scalingcache.paper.segments import handovers
from workers.scalingcache.sampling import sample_indices

BETA = 0.97  # of the paper's moving average
_PART = 2048  # tokens that are compared at a time
LOWEST, HIGHEST = 0.01, 1.99  # App. E assumes alpha in (0, 2); a negative one can make Eq. 6's denominator zero


@dataclass(frozen=True)
class Sample:
    """One generation's sufficient statistics, float64 on the CPU.

    energy, cross: `[steps, blocks]`; energy[0], cross[0] and cross[1] are 0.
    rho: `[steps, streams, blocks]`, relative change per step; rho[0] is 0.
    segments: how many consecutive steps each expert computed; empty for a model without experts. The first steps of a
        segment are 0 as those of the run are: experts are not compared with each other.
    """

    energy: Tensor
    cross: Tensor
    rho: Tensor
    segments: tuple[int, ...] = ()


@dataclass
class Recorder:
    """A cache method that computes every step in full and keeps inner products.

    What stays is two outputs of each block, sampled but for the last, on the device and in the dtype of the model, and
    three numbers a step, stream and block on the host. Wan2.1-1.3B at 81 frames of 832 × 480 (32,760 tokens × 1,536, 30
    blocks, two streams, bfloat16): 2 · 2 · 96 MiB for the last block and 2 · 2 · 29 · 3 MiB for the others, 0.72 GiB.

    blocks: how many blocks the transformer has.
    tokens: how many tokens of a block other than the last are used; the last block, which alone reaches the output,
        is used whole.
    segments: how many consecutive steps each expert computes; empty for a model without experts.
    """

    blocks: int
    tokens: int = 1024
    segments: tuple[int, ...] = ()
    full: bool = field(default=True, init=False)
    _last: dict[tuple[str, int], tuple[Tensor, Tensor | None]] = field(default_factory=dict, init=False)
    _step: dict[str, list[Tensor]] = field(default_factory=dict, init=False)
    _steps: list[Tensor] = field(default_factory=list, init=False)

    def observe(self, stream: str, block: int, hidden: Tensor) -> None:
        """Add the output of `block` at this step. hidden: `[batch, tokens, channels]`."""
        if block < self.blocks - 1:
            hidden = hidden[:, sample_indices(hidden.shape[1], self.tokens, block).to(hidden.device)]
        last, before = self._last.get((stream, block), (None, None))
        self._step.setdefault(stream, []).append(_products(hidden, last, before))
        self._last[stream, block] = hidden, last

    def predict(self, stream: str) -> Tensor:
        """Never asked: every step is full."""
        raise AssertionError(f"a recorder never predicts (stream {stream!r})")

    def end_step(self) -> None:
        """End a step; its numbers leave the device here, a few hundred bytes."""
        self._steps.append(torch.stack([torch.stack(rows) for rows in self._step.values()]).cpu())
        self._step = {}
        if len(self._steps) in handovers(self.segments):
            self._last = {}

    def sample(self) -> Sample:
        """The statistics of the whole generation."""
        table = torch.stack(self._steps)  # [steps, streams, blocks, 3]
        return Sample(table[..., 0].sum(dim=1), table[..., 1].sum(dim=1), table[..., 2], self.segments)


def _products(now: Tensor, last: Tensor | None, before: Tensor | None) -> Tensor:
    """`[energy, cross, rho]` of one output, given the two before it; 0 is what lacks one of those. On the device."""
    energy = cross = rho = torch.zeros((), dtype=torch.float64, device=now.device)
    if last is None:
        return torch.stack([energy, cross, rho])
    moved = size = torch.zeros(len(now), device=now.device)
    # In parts, so that what is computed in float32 takes little memory beside a whole output.
    for start in range(0, now.shape[1], _PART):
        tokens = slice(start, start + _PART)
        y, y_last = now[:, tokens].float(), last[:, tokens].float()
        difference = y - y_last
        energy = energy + _inner(difference, difference)
        moved, size = moved + difference.abs().sum(dim=(1, 2)), size + y.abs().sum(dim=(1, 2))
        if before is not None:
            cross = cross + _inner(difference, y_last - before[:, tokens].float())
    rho = (moved / size.clamp_min(torch.finfo(torch.float32).eps)).max().double()
    return torch.stack([energy, cross, rho])


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dtype=torch.float64)


def pooled(samples: list[Sample]) -> Tensor:
    """The least-squares coefficients over all samples, `[steps, blocks]`: the ratio of the sums."""
    cross = torch.stack([s.cross for s in samples]).sum(dim=0)
    energy = torch.stack([s.energy for s in samples]).sum(dim=0)
    return _alpha(cross, energy, samples[0].segments)


def moving_average(samples: list[Sample], beta: float = BETA) -> Tensor:
    """The paper's estimate, a moving average over samples that starts from the first one."""
    alpha = of_sample(samples[0])
    for sample in samples[1:]:
        alpha = beta * alpha + (1 - beta) * of_sample(sample)
    return alpha


def of_sample(sample: Sample) -> Tensor:
    """Eq. 5 for one generation, `[steps, blocks]`."""
    return _alpha(sample.cross, sample.energy, sample.segments)


def spread(samples: list[Sample]) -> Tensor:
    """The standard deviation of alpha across samples, `[steps, blocks]`."""
    alphas = torch.stack([of_sample(s) for s in samples])
    return alphas.std(dim=0, correction=1 if len(samples) > 1 else 0)


def prediction_error(alpha: Tensor, samples: list[Sample]) -> Tensor:
    """Per step `[steps - 2]`: |y_i - ŷ_i|² / |y_i - y_{i-1}|² of the last block, predicted one step ahead.

    1 is as bad as repeating the last output, and stands where an expert has no difference yet; 0 is exact. Step 2 comes
    first.
    """
    a = alpha[2:, -1]
    energy = torch.stack([s.energy for s in samples]).sum(dim=0)[:, -1]
    cross = torch.stack([s.cross for s in samples]).sum(dim=0)[:, -1]
    squared = energy[2:] - 2 * a * cross[2:] + a**2 * energy[1:-1]
    error = squared / energy[2:].clamp_min(torch.finfo(torch.float64).tiny)
    for step in handovers(samples[0].segments):
        error[max(0, step - 2) : step] = 1.0
    return error


def better_estimator(samples: list[Sample]) -> str:
    """`pooled` or `moving_average`, whichever predicts the other half of the samples better."""
    errors = {"pooled": 0.0, "moving_average": 0.0}
    for fit, check in ((samples[::2], samples[1::2]), (samples[1::2], samples[::2])):
        if fit and check:
            for name in errors:
                errors[name] += float(prediction_error(ESTIMATORS[name](fit), check).mean())
    return min(errors, key=lambda name: errors[name])


def convergence(samples: list[Sample], estimator: str, parts: int = 10) -> list[tuple[int, float]]:
    """(number of samples, mean |alpha - final alpha|) at each tenth of the samples (the paper's Fig. 6)."""
    estimate = ESTIMATORS[estimator]
    final = estimate(samples)[2:]
    counts = sorted({math.ceil(len(samples) * k / parts) for k in range(1, parts + 1)})
    return [(n, float((estimate(samples[:n])[2:] - final).abs().mean())) for n in counts]


def group_distances(samples: list[Sample], groups: Sequence[str | None], estimator: str) -> dict[str, float]:
    """By group, mean |alpha of its samples alone - alpha| (the paper's Table 4). groups: each sample's, or None."""
    estimate = ESTIMATORS[estimator]
    overall = estimate(samples)[2:]
    distances = {}
    for name in dict.fromkeys(group for group in groups if group is not None):
        own = estimate([sample for sample, group in zip(samples, groups, strict=True) if group == name])[2:]
        distances[name] = round(float((own - overall).abs().mean()), 5)
    return distances


def fit_kappa(samples: list[Sample], alpha: Tensor, settings: IntervalSettings, *, target: float = 0.4) -> float:
    """The threshold scale: 1 where the paper's rule gives 2-3×, else what expects `target` of the steps in full.

    Found by bisection on simulated decisions: more kappa, fewer full steps.
    """
    steps = len(alpha)
    rhos = [s.rho for s in samples]

    def expected(kappa: float) -> float:
        scaled = IntervalSettings(settings.sf, kappa, settings.max_skip, settings.final_full_steps)
        return mean_full_steps(rhos, alpha, scaled, samples[0].segments) / steps

    if 1 / 3 <= expected(1.0) <= 1 / 2:
        return 1.0
    low, high = math.log(0.05), math.log(50.0)
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(math.exp(middle)) > target else (low, middle)
    return round(math.exp((low + high) / 2), 4)


def _alpha(cross: Tensor, energy: Tensor, segments: tuple[int, ...]) -> Tensor:
    alpha = torch.ones_like(energy)
    alpha[2:] = cross[2:] / energy[1:-1].clamp_min(torch.finfo(torch.float64).tiny)
    alpha[2:] = alpha[2:].clamp(LOWEST, HIGHEST)
    for step in handovers(segments):
        alpha[step : step + 2] = 1.0
    return alpha


ESTIMATORS = {"pooled": pooled, "moving_average": moving_average}
