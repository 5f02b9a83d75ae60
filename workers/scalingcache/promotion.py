"""Whether runs that were measured meanwhile are to count: only where those that are left out are predicted better."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from workers.scalingcache import priors, schedule
from workers.scalingcache.covariance import Covariance, mean
from workers.scalingcache.planning import planned


class HeldOut(NamedTuple):
    """The mean expected error (`schedule.cost`) of runs that are left out: by what counts now, and what would then."""

    now: float
    then: float

    @property
    def falls(self) -> bool:
        """Whether the new ones are to count."""
        return self.then < self.now


def held_out(
    files: Covariance | None, counting: Sequence[Covariance], new: Sequence[Covariance], count: int
) -> HeldOut | None:
    """Each run, counting or new, predicted by all others: by those that count now, and by the new ones as well.

    Only the weights are held out. The schedule is searched once for each side, from all of it: to search it for each
    run that is left out would take longer than a small model's generation.
    None for a single run, which there is nothing to hold against.

    files: what counts whatever comes; it is of other runs. All are on the same noise levels.
    count: full steps of the schedule that it is told for.
    """
    runs = [*counting, *new]
    if len(runs) < 2:
        return None
    return HeldOut(_error(files, counting, runs, count), _error(files, runs, runs, count))


def _error(files: Covariance | None, known: Sequence[Covariance], runs: Sequence[Covariance], count: int) -> float:
    """Of all runs, each predicted by the known ones but itself."""
    sigmas, whole = runs[0].sigmas, _mean(files, known)
    full = planned(priors.combined(whole, sigmas), count)
    errors = []
    for run in runs:
        others = _mean(files, [each for each in known if each is not run])
        errors.append(schedule.cost(priors.combined(others, sigmas).matrix, full, run.matrix))
    return float(np.mean(errors))


def _mean(files: Covariance | None, known: Sequence[Covariance]) -> Covariance | None:
    all_known = [*([] if files is None else [files]), *known]
    return mean(all_known) if all_known else None
