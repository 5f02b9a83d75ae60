"""The jobs of a call that waits for its images: they live no longer than the client that wants them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from service.client import unless_client_leaves
from service.dependencies import Resources
from service.errors import JobFailed, JobRefused, JobTooLate, Overloaded, WaitedTooLong
from service.remix import Remix
from service.reuse import kept_result
from service.schemas import CreateImage
from service.served import check_loadable
from service.submission import cancel_job, receiver_of, record_submission
from service.video import error_of
from workers.jobs.errors import DeadlineExceeded, InvalidRequest, JobNotFound, QueueUnavailable
from workers.jobs.events import START
from workers.jobs.job import GenerationRequest, Job, JobKey, Priority, new_job_id

#: How soon to ask again what Redis did not answer.
RETRY_SECONDS = 1.0

#: What a job's code means to who waits for it, where that is not a failure of the service.
_FAILURES: dict[str, type[JobFailed]] = {InvalidRequest.code: JobRefused, DeadlineExceeded.code: JobTooLate}


async def finished_images(
    resources: Resources,
    tenant: str,
    body: CreateImage | Remix,
    requests: list[GenerationRequest],
    receive: Callable[[], Awaitable[Message]],
) -> list[Job]:
    """The completed jobs of a call, in the order of their requests, which are alike but for their seeds.

    receive: the request's, whose body has been read: it tells when the client leaves. Then, or when one job ends
    without a result, or it takes longer than `image_seconds`, the others are cancelled. Raises `InvalidRequest`,
    `QueueFull`, `ModelUnavailable`, `QueueUnavailable` while nothing is accepted, `Overloaded` while too many calls
    wait, `JobFailed`, `WaitedTooLong`, and `ClientDisconnect` once the client has left.
    """
    try:
        resources.image_calls.acquire_nowait()
    except anyio.WouldBlock:
        raise Overloaded("too many calls wait for their images; try again") from None
    try:
        return await _made(resources, tenant, body, requests, receive)
    finally:
        resources.image_calls.release()


async def _made(
    resources: Resources,
    tenant: str,
    body: CreateImage | Remix,
    requests: list[GenerationRequest],
    receive: Callable[[], Awaitable[Message]],
) -> list[Job]:
    resources.admission.check_cost(requests[0])  # They are alike but for their seeds.
    keys = [JobKey(tenant, new_job_id(request.model, "image")) for request in requests]
    webhook = await run_in_threadpool(receiver_of, resources, tenant, body.webhook_url)
    try:
        await run_in_threadpool(_submit, resources, body, keys, requests, webhook)
        async with asyncio.timeout(resources.image_seconds):
            return await unless_client_leaves(receive, _completed(resources, keys))
    except TimeoutError:
        await run_in_threadpool(_cancel, resources, keys)
        raise WaitedTooLong(f"not made within {resources.image_seconds:g} s, and cancelled") from None
    except BaseException:  # Also when the server ends and cancels what still waits.
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(_cancel, resources, keys)
        raise


async def _completed(resources: Resources, keys: list[JobKey]) -> list[Job]:
    """The jobs, once all are completed. Raises `JobFailed` for the first that ends without a result."""
    positions = {key.job_id: START for key in keys}
    while True:
        try:
            events = await resources.events.read(positions)
        except QueueUnavailable:  # What was accepted is not lost: the client may stay and wait.
            await anyio.sleep(RETRY_SECONDS)
            events = []
        positions |= {event.job_id: event.id for event in events}
        # Without events the records say how things stand: they may have gone, and their events with them.
        if not events or any(event.ends_job for event in events):
            jobs = await run_in_threadpool(_read, resources, keys)
            if jobs and all(job.state.terminal for job in jobs):
                return jobs


def _submit(
    resources: Resources,
    body: CreateImage | Remix,
    keys: list[JobKey],
    requests: list[GenerationRequest],
    webhook: str | None,
) -> None:
    workers = resources.presence.workers()
    check_loadable(workers, requests[0].model)
    for key, request in zip(keys, requests, strict=True):
        job = resources.jobs.submit(
            key,
            priority=Priority(body.priority),
            request=request,
            metadata={},
            webhook_url=webhook,
            deadline_seconds=body.deadline_seconds,
            shares=body.shares,
            result_of=kept_result(resources, key.tenant, request, workers) if body.reuses else None,
        )
        record_submission(resources, job)


def _read(resources: Resources, keys: list[JobKey]) -> list[Job]:
    """The jobs as they stand; none while the queue is away. Raises `JobFailed` for the first without a result."""
    try:
        jobs = [resources.jobs.get(key) for key in keys]
    except QueueUnavailable:
        return []
    for job in jobs:
        if error := error_of(job):
            raise _FAILURES.get(error.code, JobFailed)(job.id, error)
    return jobs


def _cancel(resources: Resources, keys: list[JobKey]) -> None:
    for key in keys:
        with suppress(JobNotFound, QueueUnavailable):  # Not submitted, or out of reach: the first error is what counts.
            cancel_job(resources, resources.jobs.get(key))
