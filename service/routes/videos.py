"""The video calls."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from service.bodies import read_body
from service.body_docs import body_docs
from service.cancel_schema import CancelVideos
from service.cancellation import cancel_videos
from service.content import artifact_response
from service.content_docs import file_answers
from service.deletion import delete_job
from service.dependencies import Resources, ResourcesDep
from service.errors import NotSupported
from service.listing import PageQuery, known_of, listed
from service.permissions import Maker, Reader
from service.remix import Remix
from service.resolution import resolve_video
from service.schemas import CreateVideo, RemixVideo
from service.selection import models_named
from service.submission import Arrival, cancel_job, submit_from_image, submit_request
from service.video import Video, VideoDeleted, VideoList, VideosCancelled, poll_after_ms
from service.videos import find, show, show_all
from service.waiting import MOST_WAIT_SECONDS, once_ended

router = APIRouter(tags=["videos"])


async def _create_body(request: Request) -> AsyncIterator[CreateVideo]:
    async with read_body(request, CreateVideo) as body:
        yield body


async def _remix_body(request: Request) -> RemixVideo:
    async with read_body(request, RemixVideo) as body:
        return body


async def _cancel_body(request: Request) -> CancelVideos:
    async with read_body(request, CancelVideos) as body:
        return body


def _is_retry(count: str | None) -> bool | None:
    """By the count of retries that OpenAI's clients send; None from others."""
    return None if count is None else count.isdecimal() and count.strip("0") != ""


@router.post("/v1/videos", openapi_extra=body_docs(CreateVideo))
async def create(
    request: Request,
    resources: ResourcesDep,
    tenant: Maker,
    response: Response,
    body: Annotated[CreateVideo, Depends(_create_body)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    x_stainless_retry_count: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Video:
    """Queue a video. Repeating the same body with the same `Idempotency-Key` within a day returns the same video."""
    arrival = Arrival(tenant, body, idempotency_key, _is_retry(x_stainless_retry_count))
    if body.input_reference is None:  # A thread is worth its while once, for all that asks Redis.
        video = await run_in_threadpool(_create_at_once, request, resources, arrival, body)
    else:
        await run_in_threadpool(resources.admission.admit, request, tenant)
        job = await submit_from_image(resources, arrival, body, body.input_reference, request.receive)
        video = await run_in_threadpool(show, resources, job)
    response.headers["openai-poll-after-ms"] = str(poll_after_ms(video))
    return video


def _create_at_once(request: Request, resources: Resources, arrival: Arrival, body: CreateVideo) -> Video:
    resources.admission.admit(request, arrival.tenant)
    return show(resources, submit_request(resources, arrival, resolve_video(body, resources.catalogue), None))


@router.get("/v1/videos")
def list_videos(
    request: Request, resources: ResourcesDep, tenant: Reader, query: Annotated[PageQuery, Depends()]
) -> VideoList:
    """List videos page by page, newest first by default. `metadata[key]=value` lists those with this pair alone."""
    jobs, more = listed(resources, request, tenant, "video", query)
    ids = [job.id for job in jobs]
    return VideoList(
        data=show_all(resources, jobs),
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        has_more=more,
    )


@router.post("/v1/videos:cancel", openapi_extra=body_docs(CancelVideos, form=False))
def cancel_many(
    resources: ResourcesDep, tenant: Maker, body: Annotated[CancelVideos, Depends(_cancel_body)]
) -> VideosCancelled:
    """Cancel many videos, as each by itself: by ids, or those that have not ended and are like what the body says."""
    done = cancel_videos(resources, tenant, body, models_named(body.model, known_of(resources, "video"), "video"))
    return VideosCancelled(cancelled=done.cancelled, ended=done.ended, not_found=done.not_found, has_more=done.more)


# Before the paths with an id, or "edits" would be one.
@router.post("/v1/videos/edits", include_in_schema=False)
@router.post("/v1/videos/extensions", include_in_schema=False)
@router.post("/v1/videos/characters", include_in_schema=False)
@router.get("/v1/videos/characters/{character_id}", include_in_schema=False)
async def not_supported(request: Request, _: Reader) -> None:
    """Calls of the OpenAI API that this service does not have."""
    raise NotSupported("path", f"{request.method} {request.url.path} is not supported; create a new video instead")


@router.get("/v1/videos/{video_id}")
async def retrieve(
    request: Request,
    resources: ResourcesDep,
    tenant: Reader,
    response: Response,
    video_id: str,
    wait: Annotated[
        float,
        Query(ge=0, le=MOST_WAIT_SECONDS, description="Seconds to wait for its end; answers at once when it comes."),
    ] = 0,
) -> Video:
    """Retrieve a video in its current state. A failed one is returned too, with its `error`."""
    job = await run_in_threadpool(find, resources, tenant, video_id)
    job = await once_ended(resources, job, wait, request.receive)
    video = await run_in_threadpool(show, resources, job)
    response.headers["openai-poll-after-ms"] = str(poll_after_ms(video))
    return video


@router.post("/v1/videos/{video_id}/remix", openapi_extra=body_docs(RemixVideo))
def remix(
    http: Request,
    resources: ResourcesDep,
    tenant: Maker,
    response: Response,
    video_id: str,
    body: Annotated[RemixVideo, Depends(_remix_body)],
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    x_stainless_retry_count: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Video:
    """Queue a video with the settings, the seed and the first frame of one that has ended, and another prompt."""
    resources.admission.admit(http, tenant)
    order = Remix(find(resources, tenant, video_id), body.prompt)
    request, image = order.request(resources), order.image(resources)
    arrival = Arrival(tenant, order, idempotency_key, _is_retry(x_stainless_retry_count))
    video = show(resources, submit_request(resources, arrival, request, image))
    response.headers["openai-poll-after-ms"] = str(poll_after_ms(video))
    return video


@router.delete("/v1/videos/{video_id}")
def delete(resources: ResourcesDep, tenant: Maker, video_id: str) -> VideoDeleted:
    """Delete a video with its prompt and files. One that is queued or running is cancelled first."""
    job = find(resources, tenant, video_id)
    delete_job(resources, job)
    return VideoDeleted(id=job.id)


@router.post("/v1/videos/{video_id}/cancel")
def cancel(resources: ResourcesDep, tenant: Maker, video_id: str) -> Video:
    """Cancel a video: at once if queued, at its next denoising step if running. One that has ended is unchanged."""
    return show(resources, cancel_job(resources, find(resources, tenant, video_id)))


@router.get(
    "/v1/videos/{video_id}/content",
    response_class=FileResponse,
    responses=file_answers("video/mp4", "image/webp"),
)
def content(
    resources: ResourcesDep,
    tenant: Reader,
    video_id: str,
    variant: Annotated[Literal["video", "thumbnail", "spritesheet"], Query()] = "video",
) -> Response:
    """Download the file of a completed video, or a WebP preview of it. `Range` requests are supported.

    `thumbnail` is its middle frame, at most 320 pixels long. `spritesheet` has up to 25 frames evenly spread from the
    first to the last, in rows of 5 from left to right, each at most 160 pixels long.
    """
    job = find(resources, tenant, video_id)
    return artifact_response(job, resources.artifacts, None if variant == "video" else variant, resources.link_seconds)
