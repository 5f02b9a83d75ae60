"""The covariance method on a pipeline: a forecast in the place of the solver."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

from workers.caching.solver import measured_response, solved_by
from workers.engine.plan import RunPlan
from workers.jobs.job import Account, Basis, Misprediction
from workers.models.family import Family
from workers.scalingcache import priors
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.forecast import GUARD, Forecast, Innovation


class CovarianceSession:
    """One run by a forecast."""

    by_stream = False

    def __init__(
        self, plan: RunPlan, measured: Covariance | None, schedule: tuple[int, ...], *, tried: bool = False
    ) -> None:
        """
        measured: what is known of the model's covariance in such runs, on any noise levels.
        schedule: the steps to compute in full, rising. tried: whether whole runs have chosen it.

        Raises `UnsupportedPipeline` for a solver whose samples are no weighted sums of the model's outputs.
        """
        self._measured, self._schedule, self._tried = measured, schedule, tried
        start = priors.combined(measured, plan.sigmas.double().numpy())
        self._forecast = Forecast(start, measured_response(plan.scheduler, plan.sigmas), schedule)

    @property
    def decisions(self) -> str:
        """One letter for each step that is over."""
        return self._forecast.decisions

    @property
    def full(self) -> bool:
        """Whether the step that is due is computed in full."""
        return self._forecast.full

    @property
    def recipe(self) -> dict[str, Any]:
        """What it was made of."""
        measured = None if self._measured is None else self._measured.table()
        what = {"measured": measured, "schedule": self._schedule, "tried": self._tried}
        return {"method": "covariance", **what, "guard": GUARD}

    @classmethod
    def made_of(cls, plan: RunPlan, recipe: Mapping[str, Any]) -> "CovarianceSession":
        """The same session for the same run in another process."""
        measured = None if recipe["measured"] is None else Covariance.parsed(recipe["measured"])
        return cls(plan, measured, tuple(recipe["schedule"]), tried=recipe["tried"])

    @property
    def peak_cache_bytes(self) -> int:
        """The most device memory held at once."""
        return self._forecast.peak_cache_bytes

    def attached(
        self, family: Family, transformers: Sequence[nn.Module], scheduler: Any
    ) -> AbstractContextManager[None]:
        """The forecast in the place of the scheduler's `step`."""
        return solved_by(self._forecast, scheduler, transformers)

    def end_step(self) -> Misprediction | None:
        """What the step has shown; the solver's call was its end."""
        last = self._forecast.innovations[-1:]
        return _shown(last[0]) if last and last[0].step == self._forecast.current - 1 else None

    def account(self) -> Account:
        """What the run went by, and how far its predictions were off."""
        forecast = self._forecast
        runs = forecast.covariance.runs
        kind = "adapted" if forecast.adapted else "measured" if runs else "prior"
        return Account(
            method="covariance",
            basis=Basis(kind=kind, runs=runs, plan="tried" if self._tried else "expected"),
            mispredictions=[_shown(each) for each in forecast.innovations],
            added_steps=list(forecast.added),
            expected_snr=forecast.expected_snr(),
        )

    def close(self) -> None:
        """Drop all tensors."""
        self._forecast.close()


def _shown(innovation: Innovation) -> Misprediction:
    return Misprediction(step=innovation.step, expected=innovation.expected, measured=innovation.measured)
