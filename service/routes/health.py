"""What machines ask: is the process there, can it serve, what does it measure."""

from collections.abc import Sequence
from typing import Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from service.dependencies import Resources, ResourcesDep
from service.permissions import may_read_metrics, sees_status
from service.served import known_models
from workers.jobs.errors import QueueUnavailable, StoreMismatch
from workers.jobs.inspection import Inspection
from workers.jobs.presence import Presence, WorkerInfo
from workers.jobs.store_binding import StoreBinding

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Check(BaseModel):
    """One thing that must be in order."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """All checks, by name; ready when all are ok. None are shown to who may not see them."""

    ready: bool
    checks: dict[str, Check]


# None of these is a plain function: they must answer also while every thread of the calls waits for a lost Redis.
@router.get("/healthz")
async def healthz() -> Health:
    """Whether the process runs. Answers also while Redis is away."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(request: Request, resources: ResourcesDep, response: Response) -> Readiness:
    """Whether Redis accepts writes, results can be stored, and each model has a live worker. 503 if a check fails."""
    checks = await to_thread.run_sync(_checks, resources, limiter=resources.probes)
    ready = all(check.ok for check in checks.values())
    response.status_code = 200 if ready else 503
    shown = await sees_status(request, resources, has_redis=checks["redis"].ok)
    return Readiness(ready=ready, checks=checks if shown else {})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
    dependencies=[Depends(may_read_metrics)],
)
async def metrics(resources: ResourcesDep) -> Response:
    """Prometheus metrics."""
    text = await to_thread.run_sync(generate_latest, resources.metrics.registry, limiter=resources.probes)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _checks(resources: Resources) -> dict[str, Check]:
    """Redis is asked no more once it did not answer: each wait would come on top of the one before."""
    try:
        resources.probe_connection.ping()
        workers = Presence(resources.probe_connection).workers()
        jobs = _jobs(resources)
        accounts = _accounts(resources)
    except QueueUnavailable:
        redis, storage = Check(ok=False, detail="cannot be reached or accepts no writes"), _storage(resources)
        checks = {"redis": redis, "storage": storage}
        return checks | {f"worker:{model}": _workers(model, []) for model in resources.catalogue.entries}
    checks = {
        "redis": Check(ok=True, detail="answers and accepts writes"),
        "storage": _storage(resources, resources.binding),
        "jobs": jobs,
        **accounts,
    }
    return checks | {f"worker:{model}": _workers(model, workers) for model in resources.catalogue.entries}


def _workers(model: str, live: Sequence[WorkerInfo]) -> Check:
    """What failed by its code alone: the whole message names folders, and anybody may ask here."""
    count = sum(worker.takes(model) for worker in live)
    problems = [(worker.name, problem) for worker in live if (problem := worker.problem_with(model)) is not None]
    failed = [f"{name} failed ({problem.code})" for name, problem in problems]
    return Check(ok=count > 0, detail="; ".join([f"{count} live workers accept jobs for {model}", *failed]))


def _jobs(resources: Resources) -> Check:
    """Jobs that wait in vain do not keep the others from being served."""
    inspection, served = Inspection(resources.probe_connection), list(resources.catalogue.entries)
    presence = Presence(resources.probe_connection)
    waiting = {model: inspection.depth(model).queued for model in known_models(presence, served) if model not in served}
    lost = [f"{count} of {model}" for model, count in waiting.items() if count]
    return Check(ok=True, detail=f"jobs wait for models that nobody serves: {', '.join(lost)}" if lost else "none lost")


def _accounts(resources: Resources) -> dict[str, Check]:
    if resources.accounts is None:
        return {}
    ok = resources.accounts.has_this_pepper()
    return {"api_keys": Check(ok=ok, detail=f"were made with {'this' if ok else 'another'} pepper")}


def _storage(resources: Resources, binding: StoreBinding | None = None) -> Check:
    """binding: None while Redis is away, and nobody can say whose folder it is."""
    try:
        resources.store_patience.ask(resources.artifacts.probe)
        if binding is not None:
            resources.store_patience.ask(binding.check)
    except OSError as error:
        return Check(ok=False, detail=error.strerror or "cannot be written to")
    except StoreMismatch as error:
        return Check(ok=False, detail=str(error))
    except QueueUnavailable:
        binding = None
    return Check(ok=True, detail="can be written to and belongs to this Redis" if binding else "can be written to")
