"""Which steps a run computes in full, from what it starts with: the way from a covariance to a schedule."""

from workers.scalingcache import budget, priors, schedule
from workers.scalingcache.covariance import Covariance


def planned(start: Covariance, count: int, prior_share: float = 0.0) -> tuple[int, ...]:
    """The full steps of a run, rising.

    start: what it starts with, see `priors.combined`. count: how many are computed in full.
    prior_share: how much of the usual guess is in the covariance that the plan is made by; with 1 it is the plan of a
        run of which nothing was measured.
    """
    matrix, runs = start.matrix, start.runs
    if prior_share > 0:
        matrix = (1.0 - prior_share) * matrix + prior_share * priors.usual(start.sigmas).matrix
    opening = budget.opening(count, len(matrix), 0 if prior_share == 1 else runs)
    # The last step is one of them, unless they are no more than the first two.
    return schedule.plan(matrix, count, opening, final=min(1, count - opening))
