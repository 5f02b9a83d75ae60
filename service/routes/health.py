"""What machines ask: is the process there, can it serve, what does it measure."""

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from service.dependencies import Resources, ResourcesDep
from service.served import known_models
from workers.jobs.errors import QueueUnavailable, StoreMismatch
from workers.jobs.inspection import Inspection
from workers.jobs.presence import WorkerInfo

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """One thing that must be in order."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """All checks, by name; ready when all are ok."""

    ready: bool
    checks: dict[str, Check]


# Not a plain function: it must answer also while every thread waits for a lost Redis.
@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process runs. Answers also while Redis is away."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness}})
def readyz(resources: ResourcesDep, response: Response) -> Readiness:
    """Whether Redis accepts writes, results can be stored, and each model has a live worker. 503 if a check fails."""
    checks = {"redis": _redis(resources), "storage": _storage(resources)}
    workers = resources.presence.workers() if checks["redis"].ok else []
    for model in resources.catalogue.entries:
        checks[f"worker:{model}"] = _workers(model, workers)
    if checks["redis"].ok:
        checks["jobs"] = _jobs(resources)
    ready = all(check.ok for check in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(resources: ResourcesDep) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(resources.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _redis(resources: Resources) -> Check:
    try:
        resources.connection.ping()
    except QueueUnavailable:
        return Check(ok=False, detail="cannot be reached or accepts no writes")
    return Check(ok=True, detail="answers and accepts writes")


def _workers(model: str, live: Sequence[WorkerInfo]) -> Check:
    """What failed by its code alone: the whole message names folders, and anybody may ask here."""
    count = sum(worker.takes(model) for worker in live)
    failed = [
        f"{worker.name} failed ({worker.problem.code})"
        for worker in live
        if worker.problem is not None and model in worker.serves
    ]
    return Check(ok=count > 0, detail="; ".join([f"{count} live workers accept jobs for {model}", *failed]))


def _jobs(resources: Resources) -> Check:
    """Jobs that wait in vain do not keep the others from being served."""
    inspection, served = Inspection(resources.connection), list(resources.catalogue.entries)
    waiting = {model: inspection.depth(model).queued for model in known_models(resources.presence, served)}
    lost = [f"{count} of {model}" for model, count in waiting.items() if count and model not in served]
    return Check(ok=True, detail=f"jobs wait for models that nobody serves: {', '.join(lost)}" if lost else "none lost")


def _storage(resources: Resources) -> Check:
    try:
        resources.artifacts.probe()
        resources.binding.check()
    except OSError as error:
        return Check(ok=False, detail=error.strerror or "cannot be written to")
    except StoreMismatch as error:
        return Check(ok=False, detail=str(error))
    except QueueUnavailable:  # The check of Redis says so; whose folder this is nobody can say then.
        return Check(ok=True, detail="can be written to")
    return Check(ok=True, detail="can be written to and belongs to this Redis")
