"""What machines ask: is the process there, can it serve, what does it measure."""

import tempfile
from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from service.errors import answer_of
from service.parts import Parts, Service
from workers.jobs.errors import ScalingCacheError


class NoLiveWorker(ScalingCacheError):
    """Jobs of a model would wait until a worker comes."""

    code = "no_live_worker"


router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Check(BaseModel):
    ok: bool
    detail: str


class Readiness(BaseModel):
    ready: bool
    checks: dict[str, Check]


# Not a plain function: it must answer also while every thread waits for a lost Redis.
@router.get("/healthz")
async def healthz() -> Health:
    """The process runs."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness}})
def readyz(parts: Service, response: Response) -> Readiness:
    """Redis answers, results can be stored, and each model has a live worker; else 503 and which of them fails."""
    checks = {"redis": _check(parts.queue.ping), "storage": _check(lambda: _write(parts))}
    for model in parts.catalogue.entries:
        checks[f"worker:{model}"] = _check(lambda model=model: _find_worker(parts, model))  # type: ignore[misc]
    ready = all(check.ok for check in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(parts: Service) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _check(probe: Callable[[], str | None]) -> Check:
    try:
        return Check(ok=True, detail=probe() or "ok")
    except ScalingCacheError as error:
        return Check(ok=False, detail=answer_of(error).message or str(error))
    except OSError as error:
        return Check(ok=False, detail=error.strerror or type(error).__name__)


def _write(parts: Parts) -> None:
    parts.artifacts_root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=parts.artifacts_root) as file:
        file.write(b"probe")


def _find_worker(parts: Parts, model: str) -> str:
    live = [worker.name for worker in parts.queue.workers() if model in worker.models]
    if not live:
        raise NoLiveWorker(f"no live worker serves {model}")
    return f"{len(live)} live"
