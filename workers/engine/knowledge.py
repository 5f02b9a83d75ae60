"""What is known of a model's outputs before a run: what its files say, and what uncached runs have shown since."""

from collections.abc import Sequence

from workers.engine.plan import RunPlan
from workers.jobs.errors import RequestRefused
from workers.scalingcache.budget import LEAST_STEPS
from workers.scalingcache.covariance import Covariance, mean
from workers.scalingcache.measured import MeasuredCovariance

MOST_RUNS = 32
"""Observed runs of one kind, near the same noise levels, that are kept: the mean of more hardly changes."""


def file_of(files: Sequence[MeasuredCovariance], plan: RunPlan) -> MeasuredCovariance | None:
    """Of a model's files, the one for such runs; of several that of the number of steps nearest to the run's."""
    alike = [each for each in files if each.kind == plan.kind]
    return min(alike, key=lambda each: abs(each.steps - plan.request.steps), default=None)


def known_covariance(
    files: Sequence[MeasuredCovariance], observed: Sequence[MeasuredCovariance], plan: RunPlan
) -> Covariance | None:
    """The mean of everything that holds for such a run, on its noise levels; None where nothing does.

    observed: what came after the files, in an order that is the same for all workers, so that a number of runs says
    what was known at some time. With the request's `basis_runs` it is that, and not what came later.
    Raises `RequestRefused` where so many runs never were what was known.
    """
    levels = plan.sigmas.double().numpy()
    file = file_of(files, plan)
    first = None if file is None else file.covariance.at(levels)
    others = [each.covariance.at(levels) for each in observed if each.holds_for(plan.kind, levels)][:MOST_RUNS]
    least, most = (first.runs if first else 0), (first.runs if first else 0) + len(others)
    wanted = plan.request.basis_runs
    if wanted == 0:
        return None
    if wanted is not None and not max(1, least) <= wanted <= most:
        allowed = f"0 or {max(1, least)} to {most}" if most else "0"
        raise RequestRefused(f"basis_runs {wanted}: of {plan.request.model} {most} runs are known; allowed: {allowed}")
    chosen = [*([first] if first else []), *others[: None if wanted is None else wanted - least]]
    return mean(chosen) if chosen else None


def worth_keeping(shown: MeasuredCovariance, observed: Sequence[MeasuredCovariance]) -> bool:
    """Whether what a run has shown would add to what was observed before."""
    alike = [each for each in observed if each.holds_for(shown.kind, shown.covariance.sigmas)]
    return shown.steps >= LEAST_STEPS and len(alike) < MOST_RUNS
