"""The video calls."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from service.bodies import read_fields
from service.content import ArtifactResponse, artifact_response
from service.dependencies import Resources, ResourcesDep
from service.errors import NotSupported
from service.permissions import Maker, Reader
from service.resolution import models_of
from service.schemas import CreateVideo, parse
from service.served import known_models
from service.submission import Arrival, cancel_job, submit
from service.video import Video, VideoDeleted, VideoList, poll_after_ms, video_of
from workers.jobs.errors import JobNotFound
from workers.jobs.job import Job, JobKey, JobState

router = APIRouter(tags=["videos"])


async def _create_body(request: Request) -> AsyncIterator[CreateVideo]:
    async with read_fields(request) as fields:
        yield await run_in_threadpool(parse, CreateVideo, fields)


def _form_schema() -> dict[str, Any]:
    schema = CreateVideo.model_json_schema()
    schema["description"] = (
        "The same fields as in JSON, with metadata as metadata[key] fields and input_reference as a file."
    )
    description = schema["properties"]["input_reference"]["description"]
    schema["properties"]["input_reference"] = {"type": "string", "format": "binary", "description": description}
    return schema


_CREATE_DOCS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CreateVideo.model_json_schema()},
            "multipart/form-data": {"schema": _form_schema()},
        },
    }
}


def _show(resources: Resources, job: Job) -> Video:
    position = resources.jobs.position(job) if job.state is JobState.QUEUED else None
    served = job.request.model in resources.catalogue.entries
    family = resources.catalogue.family(job.request.model) if served else None
    return video_of(job, queue_position=position, now=resources.clock(), family=family)


def _find(resources: Resources, tenant: str, video_id: str) -> Job:
    if not video_id.startswith("video_"):
        raise JobNotFound(f"there is no video {video_id[:120]!r}")
    return resources.jobs.get(JobKey(tenant, video_id))


def _is_retry(count: str | None) -> bool | None:
    """By the count of retries that OpenAI's clients send; None from others."""
    return None if count is None else count.isdecimal() and count.strip("0") != ""


@router.post("/v1/videos", openapi_extra=_CREATE_DOCS)
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
    job = await submit(resources, arrival, request.receive)
    video = await run_in_threadpool(_show, resources, job)
    response.headers["openai-poll-after-ms"] = str(poll_after_ms(video))
    return video


@router.get("/v1/videos")
def list_videos(
    resources: ResourcesDep,
    tenant: Reader,
    after: Annotated[str | None, Query(description="The last id of the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[Literal["asc", "desc"], Query(description="Sort by time of creation.")] = "desc",
) -> VideoList:
    """List videos page by page, newest first by default."""
    models = known_models(resources.presence, [entry.name for entry in models_of("video", resources.catalogue)])
    jobs, more = resources.jobs.list(tenant, models, after=after, limit=limit, ascending=order == "asc", media="video")
    ids = [job.id for job in jobs]
    return VideoList(
        data=[_show(resources, job) for job in jobs],
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        has_more=more,
    )


# Before the paths with an id, or "edits" would be one.
@router.post("/v1/videos/edits", include_in_schema=False)
@router.post("/v1/videos/extensions", include_in_schema=False)
@router.post("/v1/videos/characters", include_in_schema=False)
@router.get("/v1/videos/characters/{character_id}", include_in_schema=False)
@router.post("/v1/videos/{video_id}/remix", include_in_schema=False)
async def not_supported(request: Request, _: Reader) -> None:
    """Calls of the OpenAI API that this service does not have."""
    raise NotSupported("path", f"{request.method} {request.url.path} is not supported; create a new video instead")


@router.get("/v1/videos/{video_id}")
def retrieve(resources: ResourcesDep, tenant: Reader, response: Response, video_id: str) -> Video:
    """Retrieve a video in its current state. A failed one is returned too, with its `error`."""
    video = _show(resources, _find(resources, tenant, video_id))
    response.headers["openai-poll-after-ms"] = str(poll_after_ms(video))
    return video


@router.delete("/v1/videos/{video_id}")
def delete(resources: ResourcesDep, tenant: Maker, video_id: str) -> VideoDeleted:
    """Delete a video with its prompt and files. One that is queued or running is cancelled first."""
    job = _find(resources, tenant, video_id)
    resources.jobs.delete(job.key)
    if job.artifact is not None:  # Else an attempt may still be writing; the workers' sweep comes after it.
        resources.artifacts.delete(job.key)
    structlog.get_logger("service").info("job deleted", job=job.id, state=job.state.value)
    return VideoDeleted(id=job.id)


@router.post("/v1/videos/{video_id}/cancel")
def cancel(resources: ResourcesDep, tenant: Maker, video_id: str) -> Video:
    """Cancel a video: at once if queued, at its next denoising step if running. One that has ended is unchanged."""
    return _show(resources, cancel_job(resources, _find(resources, tenant, video_id)))


@router.get(
    "/v1/videos/{video_id}/content",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}}}, 206: {"content": {"video/mp4": {}}}},
)
def content(
    resources: ResourcesDep,
    tenant: Reader,
    video_id: str,
    variant: Annotated[Literal["video", "thumbnail", "spritesheet"], Query()] = "video",
) -> ArtifactResponse:
    """Download the file of a completed video. `Range` requests are supported."""
    if variant != "video":
        raise NotSupported("variant", f"variant {variant!r} is not supported yet; allowed: video")
    return artifact_response(_find(resources, tenant, video_id), resources.artifacts)
