"""How a planned run is accelerated, or that it is not, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.engine import paper_acceleration
from workers.engine.covariance_session import CovarianceSession
from workers.engine.loaded import LoadedModel
from workers.engine.plan import RunPlan
from workers.engine.session import Session
from workers.jobs.errors import UnsupportedPipeline
from workers.jobs.job import GenerationRequest, Reason, ReasonCode
from workers.scalingcache import budget
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.measured import MeasuredCovariance


@dataclass(frozen=True)
class Acceleration:
    """What a run has of the cache.

    session: of this run alone, to be closed after it; None where the run is the plain pipeline.
    reason: why there is no session, or what its coefficients stand on; None where nothing is to be said.
    """

    session: Session | None
    reason: Reason | None


def accelerate(model: LoadedModel, plan: RunPlan, measured: Sequence[MeasuredCovariance] = ()) -> Acceleration:
    """The acceleration that a model can give a run.

    measured: what was learnt of the model since it was loaded; it goes before what its files say.
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
    known = fitting_covariance((*measured, *model.covariances), plan)
    try:
        session = CovarianceSession(plan, known, count, budget.opening(count, known.runs if known else 0))
    except UnsupportedPipeline as error:
        return Acceleration(None, Reason(code=ReasonCode.UNSUPPORTED_SOLVER, detail=str(error)))
    return Acceleration(session, None)


def full_steps(request: GenerationRequest) -> int:
    """How many steps of a request the covariance method computes in full."""
    return request.full_steps or budget.full_steps(request.sf, request.steps)


def fitting_covariance(measured: Sequence[MeasuredCovariance], plan: RunPlan) -> Covariance | None:
    """The first of what was measured that holds for such runs, or None."""
    return next((each.covariance for each in measured if each.kind == plan.kind), None)
