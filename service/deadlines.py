"""Queued jobs end at their deadline, also while no worker is there to see it. None is ever started after it."""

import asyncio

import structlog
from starlette.concurrency import run_in_threadpool

from service.dependencies import Resources
from service.served import known_models
from workers.jobs.errors import QueueUnavailable

log = structlog.get_logger("service")

LOOK_SECONDS = 5.0


async def end_overdue(resources: Resources) -> None:
    """Never returns. Several processes may do the same: each job ends once."""
    while True:
        try:
            await run_in_threadpool(end_overdue_once, resources)
        except QueueUnavailable:
            pass  # Told by all calls that need it.
        except Exception:  # The next look may find it mended; nobody else would say that there are none.
            log.exception("overdue jobs not ended")
        await asyncio.sleep(LOOK_SECONDS)


def end_overdue_once(resources: Resources) -> None:
    """Raises `QueueUnavailable`."""
    for model in known_models(resources.presence, list(resources.catalogue.entries)):
        while ended := resources.jobs.end_overdue(model):
            for job_id in ended:
                resources.metrics.queued_job_expired(model)
                log.info("job ended", job=job_id, outcome="failed", code="deadline_exceeded")
