"""A call that waits for a job to end, by the job's events: nobody asks Redis again and again."""

from collections.abc import Awaitable, Callable

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from service.client import unless_client_leaves
from service.dependencies import CALL_SECONDS, Resources
from service.errors import Overloaded
from workers.jobs.errors import QueueUnavailable
from workers.jobs.events import START
from workers.jobs.job import Job

#: Less than what a server that ends gives its requests, and than what gateways commonly do.
MOST_WAIT_SECONDS = 25


async def once_ended(resources: Resources, job: Job, seconds: float, receive: Callable[[], Awaitable[Message]]) -> Job:
    """The job once it has ended, or after so many seconds as it stands then.

    receive: the request's, which tells when the client leaves. Raises `JobNotFound` once the job is deleted,
    `Overloaded`, `QueueUnavailable`, and `ClientDisconnect` once the client has left.
    """
    if job.state.terminal or seconds <= 0:
        return job
    try:
        resources.waiting_calls.acquire_nowait()
    except anyio.WouldBlock:
        raise Overloaded("too many calls wait for their videos; ask without `wait`, or again later") from None
    try:
        # A read's socket waits longer than that for a Redis that hangs.
        return await unless_client_leaves(receive, _ended(resources, job, seconds), seconds + CALL_SECONDS)
    except TimeoutError:
        raise QueueUnavailable("Redis: too slow") from None
    finally:
        resources.waiting_calls.release()


async def _ended(resources: Resources, job: Job, seconds: float) -> Job:
    position, until = START, anyio.current_time() + seconds
    while not job.state.terminal and (left := until - anyio.current_time()) > 0:
        events = await resources.events.read({job.id: position}, left)
        position = events[-1].id if events else position
        # Without events the record says how things stand: it may have gone, and its events with it.
        if not events or any(event.ends_job for event in events):
            job = await run_in_threadpool(resources.jobs.get, job.key)
    return job if job.state.terminal else await run_in_threadpool(resources.jobs.get, job.key)
