"""An uncached run that is looked at: its outputs show how alike they are, and everything stays as it is."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import nn

from workers.caching.solver import observed_by
from workers.engine.plan import RunPlan
from workers.models.family import Family
from workers.scalingcache.covariance import of_run
from workers.scalingcache.measured import FEWEST_STEPS, MeasuredCovariance
from workers.scalingcache.products import Products

METHOD = "observation"


class Observation:
    """On the pipeline of one run, in the place of a session."""

    by_stream = False

    def __init__(self, plan: RunPlan) -> None:
        self.decisions = ""
        self._plan = plan
        self._products = Products(plan.request.steps)

    @property
    def full(self) -> bool:
        """Every step is."""
        return True

    @property
    def recipe(self) -> dict[str, Any]:
        """It changes nothing, but an output that is not finite has to end the run on all ranks at once."""
        return {"method": METHOD}

    def attached(
        self, family: Family, transformers: Sequence[nn.Module], scheduler: Any
    ) -> AbstractContextManager[None]:
        """A look at what goes into the scheduler's `step`."""
        return observed_by(self._products, scheduler)

    def end_step(self) -> None:
        """Every step is a full one."""
        self.decisions += "F"

    def close(self) -> None:
        """Drop all tensors."""
        self._products.clear()

    def shown(self) -> MeasuredCovariance | None:
        """What the finished run has shown of its model; None where all that came out is zero, or there was one step,
        which say nothing of how alike outputs are.
        """
        products = self._products
        if self._plan.request.steps < FEWEST_STEPS:
            return None
        if not (products.matrix.trace() > 0 and products.power > 0):
            return None
        levels = self._plan.sigmas.double().numpy()
        return MeasuredCovariance(self._plan.kind, of_run(levels, products.matrix, products.power))
