"""How a planned run is accelerated, or that it is not, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.engine import observation, paper_acceleration
from workers.engine.covariance_session import CovarianceSession
from workers.engine.knowledge import file_of, known_covariance
from workers.engine.loaded import LoadedModel
from workers.engine.observation import Observation
from workers.engine.paper_session import PaperSession
from workers.engine.plan import RunPlan
from workers.engine.session import Session
from workers.jobs.errors import UnsupportedPipeline
from workers.jobs.job import GenerationRequest, Reason, ReasonCode
from workers.scalingcache import budget, priors
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.measured import MeasuredCovariance
from workers.scalingcache.planning import planned


@dataclass(frozen=True)
class Acceleration:
    """What a run has of the cache.

    session: of this run alone, to be closed after it; None where the run is the plain pipeline.
    reason: why there is no session, or what its coefficients stand on; None where nothing is to be said.
    """

    session: Session | None
    reason: Reason | None


def accelerate(model: LoadedModel, plan: RunPlan, observed: Sequence[MeasuredCovariance] = ()) -> Acceleration:
    """The acceleration that a model can give a run.

    observed: what uncached runs have shown of the model besides what its files say, see `known_covariance`.
    Raises `RequestRefused` for `basis_runs` that cannot be had.
    """
    request = plan.request
    if not request.wants_acceleration:
        return Acceleration(None, Reason(code=ReasonCode.NOT_REQUESTED))
    if model.entry.method == "paper":
        return Acceleration(*paper_acceleration.session(model, plan))
    count = full_steps(request)
    if not budget.worthwhile(count, request.steps):
        detail = f"{count} of {request.steps} steps in full are less than {budget.SMALLEST_GAIN:g} times faster"
        return Acceleration(None, Reason(code=ReasonCode.LITTLE_GAIN, detail=detail))
    known = known_covariance(model.covariances, observed, plan)
    schedule, tried = _schedule(model, plan, known, count)
    try:
        session = CovarianceSession(plan, known, schedule, tried=tried)
    except UnsupportedPipeline as error:
        return Acceleration(None, Reason(code=ReasonCode.UNSUPPORTED_SOLVER, detail=str(error)))
    return Acceleration(session, None)


def made_of(model: LoadedModel, plan: RunPlan, recipe: Mapping[str, Any]) -> Session | Observation:
    """What a rank that follows has on its pipeline, as rank 0 has told it."""
    if recipe["method"] == observation.METHOD:
        return Observation(plan)
    if recipe["method"] == "paper":
        return PaperSession.made_of(plan, recipe, model.shard(plan.request))
    return CovarianceSession.made_of(plan, recipe)


def _schedule(model: LoadedModel, plan: RunPlan, known: Covariance | None, count: int) -> tuple[tuple[int, ...], bool]:
    """The steps of a run that are computed in full, and whether whole runs have chosen them: these were planned by the
    model's file alone, so what was observed since changes nothing about them."""
    levels = plan.sigmas.double().numpy()
    file = None if known is None else file_of(model.covariances, plan)
    share = None if file is None else file.prior_share(count, levels)
    if file is None or share is None:
        return planned(priors.combined(known, levels), count), False
    return planned(priors.combined(file.covariance, levels), count, share), True


def full_steps(request: GenerationRequest) -> int:
    """How many steps of a request the covariance method computes in full."""
    return request.full_steps or budget.full_steps(request.sf, request.steps)
