"""What an evaluation found: for each sf the speed and the fidelity to expect. Plain data, torch-free."""

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Self

from pydantic import ValidationError

from workers.files import replacing
from workers.jobs.errors import InvalidRequest, ScalingCacheError
from workers.jobs.frozen import Frozen

_RESAMPLES = 2000


class EvaluationError(ScalingCacheError):
    """An evaluation cannot be made or read; the message says why."""

    code = "evaluation_error"


class Estimate(Frozen):
    """A mean over prompts, with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


class Pair(Frozen):
    """One prompt with one sf, against its uncached run with the same seed.

    speedup: uncached over accelerated denoise time. predicted_step_cost: in full steps.
    psnr: dB, where an equal frame counts as 100. psnr, ssim, lpips: means over frames.
    clip: 100 · cosine of prompt and frames, of the accelerated run; `clip_uncached` of the other.
    """

    prompt: str
    group: str | None
    sf: int
    seed: int
    decisions: str
    reason: str | None
    speedup: float
    predicted_step_cost: float
    psnr: float
    ssim: float
    lpips: float | None
    clip: float | None
    clip_uncached: float | None
    cache_bytes: int

    @property
    def full_steps(self) -> int:
        """How many steps were computed in full."""
        return self.decisions.count("F")


class SfResult(Frozen):
    """One sf over all prompts. Measures as in `Pair`."""

    sf: int
    full_steps: float
    speedup: Estimate
    predicted_step_cost: float
    psnr: Estimate
    ssim: Estimate
    lpips: Estimate | None
    clip: Estimate | None
    clip_uncached: Estimate | None
    cache_bytes: int


class Evaluation(Frozen):
    """One result file. Holds for the steps and size it was measured with; `fingerprint` is of the weights.

    input_reference: whether the videos went on from given first frames.
    """

    model: str
    fingerprint: str
    steps: int
    size: str
    frames: int
    guidance: float
    input_reference: bool = False
    rows: list[SfResult]
    pairs: list[Pair]
    provenance: dict[str, str]

    def save(self, path: Path) -> None:
        """Write the file, replacing an older one in one move."""
        with replacing(path) as partial:
            partial.write_text(self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file. Raises `EvaluationError` when it is broken, `FileNotFoundError` when there is none."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise EvaluationError(f"evaluation {path}: {error}") from error

    def sf_for(self, speedup: float) -> int:
        """The sf of the highest PSNR whose expected speedup is at least this. Raises `InvalidRequest`."""
        reaching = [row for row in self.rows if row.speedup.mean >= speedup]
        if not reaching:
            most = max(row.speedup.mean for row in self.rows)
            raise InvalidRequest(
                "target_speedup", f"target_speedup {speedup:g}: {self.model} is expected to reach at most {most:.2f}"
            )
        return max(reaching, key=lambda row: row.psnr.mean).sf


def summarise(pairs: Sequence[Pair]) -> list[SfResult]:
    """One row for each sf that occurs, in rising order."""
    by_sf = {sf: [pair for pair in pairs if pair.sf == sf] for sf in sorted({pair.sf for pair in pairs})}
    return [
        SfResult(
            sf=sf,
            full_steps=fmean(p.full_steps for p in of_sf),
            speedup=estimate([p.speedup for p in of_sf]),
            predicted_step_cost=fmean(p.predicted_step_cost for p in of_sf),
            psnr=estimate([p.psnr for p in of_sf]),
            ssim=estimate([p.ssim for p in of_sf]),
            lpips=_estimate_known([p.lpips for p in of_sf]),
            clip=_estimate_known([p.clip for p in of_sf]),
            clip_uncached=_estimate_known([p.clip_uncached for p in of_sf]),
            cache_bytes=max(p.cache_bytes for p in of_sf),
        )
        for sf, of_sf in by_sf.items()
    ]


def estimate(values: Sequence[float]) -> Estimate:
    """The mean, and the interval that 95 % of the means of resampled values lie in (percentile bootstrap, seeded)."""
    draw = random.Random(0)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    cut = _RESAMPLES // 40
    return Estimate(mean=fmean(values), low=means[cut], high=means[-1 - cut])


def _estimate_known(values: Sequence[float | None]) -> Estimate | None:
    measured = [value for value in values if value is not None]
    return estimate(measured) if measured else None
