"""Jobs of one call that waits for them: they live no longer than the client that wants them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from service.errors import JobFailed
from service.parts import Parts
from service.schemas import CreateImage, resolve_images
from service.submission import note_submitted, stop
from service.video import error_of
from workers.jobs.errors import JobNotFound, QueueUnavailable
from workers.jobs.job import GenerationRequest, Job, Priority, new_job_id

POLL_SECONDS = 0.2


async def finished_images(
    parts: Parts, tenant: str, body: CreateImage, left: Callable[[], Awaitable[bool]]
) -> list[Job]:
    """The completed jobs of a request, in the order of their seeds.

    left: whether the client has gone. Then, or when one job ends without a result, the others are cancelled.
    Raises `InvalidRequest`, `JobFailed`, and `ClientDisconnect` once the client has gone.
    """
    requests = await run_in_threadpool(resolve_images, body, parts.catalogue)
    ids = [new_job_id(request.model, "image") for request in requests]
    try:
        await run_in_threadpool(_submit, parts, tenant, Priority(body.priority), ids, requests)
        while True:
            if await left():
                raise ClientDisconnect
            jobs = await run_in_threadpool(_look, parts, tenant, ids)
            if jobs and all(job.state.terminal for job in jobs):
                return jobs
            await anyio.sleep(POLL_SECONDS)
    except BaseException:  # Also when the server ends and cancels what still waits.
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(_stop, parts, tenant, ids)
        raise


def _submit(parts: Parts, tenant: str, priority: Priority, ids: list[str], requests: list[GenerationRequest]) -> None:
    for job_id, request in zip(ids, requests, strict=True):
        job = parts.queue.submit(job_id=job_id, tenant=tenant, priority=priority, request=request, metadata={})
        note_submitted(parts, job)


def _look(parts: Parts, tenant: str, ids: list[str]) -> list[Job]:
    """The jobs as they stand; none while the queue is away. Raises `JobFailed` for the first without a result."""
    try:
        jobs = [parts.queue.get(job_id, tenant) for job_id in ids]
    except QueueUnavailable:
        return []  # What was accepted is not lost: the client may stay and wait.
    for job in jobs:
        if error := error_of(job):
            raise JobFailed(job.id, error)
    return jobs


def _stop(parts: Parts, tenant: str, ids: list[str]) -> None:
    for job_id in ids:
        with suppress(JobNotFound, QueueUnavailable):  # Not submitted, or out of reach: the first error is what counts.
            stop(parts, parts.queue.get(job_id, tenant))
