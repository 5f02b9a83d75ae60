"""Streams of what happens to jobs."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from service.dependencies import Resources, ResourcesDep
from service.event_stream import EventStream, Standing, checked_event_id, standing_of_account, standing_of_job, told
from service.permissions import Reader
from service.videos import find
from service.watch import Watch
from workers.jobs.job import Job

router = APIRouter(tags=["events"])

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {EventStream.media_type: {}}, "description": "Server-Sent Events."}
}
LastEventId = Annotated[str | None, Header(description="The id of the last event that was read, to go on behind it.")]


@router.get("/v1/events", response_class=StreamingResponse, responses=_STREAM)
async def of_account(
    request: Request, resources: ResourcesDep, tenant: Reader, last_event_id: LastEventId = None
) -> Response:
    """What happens to all jobs of the account, as it happens."""
    last = checked_event_id(last_event_id)
    if request.method == "HEAD":
        return Response(media_type=EventStream.media_type)
    watch = await resources.broadcast.watch(tenant)
    return _stream(request, resources, standing_of_account(resources, tenant), watch, last)


@router.get("/v1/videos/{video_id}/events", response_class=StreamingResponse, responses=_STREAM)
async def of_video(
    request: Request, resources: ResourcesDep, tenant: Reader, video_id: str, last_event_id: LastEventId = None
) -> Response:
    """What happens to a video, from how it stands now until it has ended."""
    job = await run_in_threadpool(find, resources, tenant, video_id)
    return await _of_job(request, resources, job, last_event_id)


@router.get("/v1/images/{image_id}/events", response_class=StreamingResponse, responses=_STREAM)
async def of_image(
    request: Request, resources: ResourcesDep, tenant: Reader, image_id: str, last_event_id: LastEventId = None
) -> Response:
    """The same of an image."""
    job = await run_in_threadpool(find, resources, tenant, image_id, "image")
    return await _of_job(request, resources, job, last_event_id)


async def _of_job(request: Request, resources: Resources, job: Job, last_event_id: str | None) -> Response:
    last = checked_event_id(last_event_id)
    if request.method == "HEAD":
        return Response(media_type=EventStream.media_type)
    watch = None if job.state.terminal else await resources.broadcast.watch(job.tenant, job.id)
    return _stream(request, resources, standing_of_job(resources, job.key), watch, last)


def _stream(
    request: Request, resources: Resources, standing: Standing, watch: Watch | None, last: str | None
) -> EventStream:
    authorization = request.headers.getlist("authorization")

    async def still_allowed() -> None:
        await resources.authentication.caller(authorization)

    return EventStream(told(standing, watch, last, resources.heartbeat_seconds, still_allowed), watch)
