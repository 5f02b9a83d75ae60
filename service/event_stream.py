"""An answer that goes on as things happen, as Server-Sent Events."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from service.dependencies import Resources
from service.frames import Frame, deleted_frame, error_data, joined
from service.refusals import shorten
from service.selection import wanted
from service.served import known_models
from service.watch import Ended, Watch
from workers.jobs.errors import InvalidRequest, JobNotFound, ScalingCacheError
from workers.jobs.job import Job, JobKey, JobState

#: With how many of an account's jobs a stream of all of them begins.
MOST_JOBS = 100
_EVENT_ID = re.compile(r"\d{1,15}-\d{1,20}")

#: Raises the error that ends a stream, where the client may no longer have it.
StillAllowed = Callable[[], Awaitable[object]]
#: How things stand for a client that knows all up to an event, or nothing; and up to which event that is.
Standing = Callable[[str | None], Awaitable[tuple[Sequence[Frame], str]]]


class EventStream(EventSourceResponse):
    """Sends what comes, and frees all that is held for it when the client leaves, however it does."""

    def __init__(self, events: AsyncIterator[bytes], watch: Watch | None) -> None:
        super().__init__(events, headers={"x-accel-buffering": "no", "cache-control": "no-store"})
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to a request."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._watch is not None:
                self._watch.close()


def checked_event_id(text: str | None) -> str | None:
    """Raises `InvalidRequest` for what was no event's id."""
    if not text:
        return None
    if not _EVENT_ID.fullmatch(text):
        raise InvalidRequest("Last-Event-ID", f"Last-Event-ID {shorten(text)} is not the id of an event")
    return text


async def told(
    standing: Standing,
    watch: Watch | None,
    last: str | None,
    heartbeat_seconds: float,
    still_allowed: StillAllowed,
) -> AsyncIterator[bytes]:
    """How things stand, then what happens. last: the event up to which the client knows all.

    watch: None where nothing can happen any more.
    still_allowed: asked before anything is told that came later, as a key may have been revoked meanwhile.
    """
    try:
        while True:
            frames, known = await standing(last)
            yield joined(frames) or KEEPALIVE_COMMENT
            if watch is None or _ended(watch, frames):
                return
            watch.note(frames)
            last = known
            while (news := await watch.news(heartbeat_seconds)) is not None:
                await still_allowed()
                new = [frame for frame in news if not frame.event_id or _later(frame.event_id, known)]
                if new or not news:
                    yield joined(new) or KEEPALIVE_COMMENT
                if _ended(watch, new):
                    return
                last = next((frame.event_id for frame in reversed(new) if frame.event_id), last)
    except Ended:
        return
    except ScalingCacheError as error:
        yield error_data(error)


def standing_of_job(resources: Resources, key: JobKey) -> Standing:
    """Of one job."""

    async def standing(last: str | None) -> tuple[Sequence[Frame], str]:
        history = [] if last is None else await resources.events.history(key.job_id, last)
        known = history[-1].id if history else last or await resources.events.last(key.job_id)
        try:
            job = await run_in_threadpool(resources.jobs.get, key)
        except JobNotFound:
            return [deleted_frame(key.job_id, known)], known
        steps = [resources.telling.steps(job, event) for event in history if event.type == "step"]
        frames = [*steps, await run_in_threadpool(resources.telling.standing, key, known)]
        preview = await run_in_threadpool(resources.telling.preview, key) if job.state is JobState.RUNNING else None
        return [*frames, *([preview] if preview else [])], known

    return standing


def standing_of_account(resources: Resources, tenant: str) -> Standing:
    """Of the jobs that have not ended, and where the client knew some of them, of those that have ended since."""

    async def standing(last: str | None) -> tuple[Sequence[Frame], str]:
        known = await resources.events.moment()
        jobs = await run_in_threadpool(_unended, resources, tenant)
        frames = []
        if last is not None:
            since = int(last.split("-")[0]) / 1000
            ended = await run_in_threadpool(_ended_since, resources, tenant, since)
            running = [job for job in [*ended, *jobs] if job.step > 0]
            for job in running:
                history = await resources.events.history(job.id, last)
                frames += [resources.telling.steps(job, event) for event in history if event.type == "step"]
            jobs = [*ended, *jobs]
        return [*frames, *await run_in_threadpool(_all, resources, jobs, known)], known

    return standing


def _unended(resources: Resources, tenant: str) -> list[Job]:
    """The oldest first."""
    models, only = _models(resources), wanted(["queued", "in_progress"], {})
    jobs, _ = resources.jobs.list(tenant, models, after=None, limit=MOST_JOBS, ascending=False, only=only)
    return jobs[::-1]


def _ended_since(resources: Resources, tenant: str, since: float) -> list[Job]:
    ended = resources.jobs.ended_since(tenant, _models(resources), since, MOST_JOBS)
    return sorted(ended, key=lambda job: job.completed_at or 0.0)


def _models(resources: Resources) -> list[str]:
    return known_models(resources.presence, list(resources.catalogue.entries))


def _all(resources: Resources, jobs: Sequence[Job], event_id: str) -> list[Frame]:
    return resources.telling.of_jobs(jobs, event_id)


def _ended(watch: Watch, frames: Sequence[Frame]) -> bool:
    return watch.job_id is not None and any(frame.ends for frame in frames)


def _later(event_id: str, than: str) -> bool:
    return _place(event_id) > _place(than)


def _place(event_id: str) -> tuple[int, int]:
    moment, _, number = event_id.partition("-")
    return int(moment), int(number)
