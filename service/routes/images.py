"""The image calls."""

from base64 import b64encode
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from service.bodies import read_body
from service.body_docs import body_docs
from service.content import artifact_response, open_artifact
from service.content_docs import file_answers
from service.deletion import delete_job
from service.dependencies import Resources, ResourcesDep
from service.errors import NotSupported
from service.image import ImageDeleted, ImageJob, ImageList, Images, image_of, images_of
from service.image_jobs import finished_images
from service.listing import PageQuery, listed
from service.permissions import Maker, Reader
from service.remix import Remix
from service.resolution import resolve_images
from service.schemas import CreateImage, RemixImage
from service.videos import find, show_image, show_images
from workers.jobs.job import Job

router = APIRouter(tags=["images"])


async def _body(request: Request) -> CreateImage:
    async with read_body(request, CreateImage) as body:
        return body


async def _remix_body(request: Request) -> RemixImage:
    async with read_body(request, RemixImage) as body:
        return body


@router.post("/v1/images/generations", openapi_extra=body_docs(CreateImage))
async def generate(
    request: Request, resources: ResourcesDep, tenant: Maker, body: Annotated[CreateImage, Depends(_body)]
) -> Images:
    """Generate images and wait for them. If the client disconnects or one image fails, the others are cancelled."""
    await run_in_threadpool(resources.admission.admit, request, tenant, body.n)
    requests = await run_in_threadpool(resolve_images, body, resources.catalogue)
    jobs = await finished_images(resources, tenant, body, requests, request.receive)
    return await _answer(request, resources, jobs, body.response_format)


@router.post("/v1/images/{image_id}/remix", openapi_extra=body_docs(RemixImage))
async def remix(
    request: Request,
    resources: ResourcesDep,
    tenant: Maker,
    image_id: str,
    body: Annotated[RemixImage, Depends(_remix_body)],
) -> Images:
    """Generate an image with the settings and the seed of one that has ended, and another prompt, and wait for it."""
    await run_in_threadpool(resources.admission.admit, request, tenant)
    order = Remix(await run_in_threadpool(find, resources, tenant, image_id, "image"), body.prompt)
    made = await run_in_threadpool(order.request, resources)
    jobs = await finished_images(resources, tenant, order, [made], request.receive)
    return await _answer(request, resources, jobs, body.response_format)


@router.get("/v1/images")
def list_images(
    request: Request, resources: ResourcesDep, tenant: Reader, query: Annotated[PageQuery, Depends()]
) -> ImageList:
    """List images page by page, newest first by default, whether they are made, have been or failed."""
    jobs, more = listed(resources, request, tenant, "image", query)
    ids = [job.id for job in jobs]
    return ImageList(
        data=show_images(resources, jobs),
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        has_more=more,
    )


@router.post("/v1/images/edits", include_in_schema=False)
@router.post("/v1/images/variations", include_in_schema=False)
async def not_supported(request: Request, _: Reader) -> None:
    """Calls of the OpenAI API that this service does not have."""
    raise NotSupported("path", f"{request.method} {request.url.path} is not supported; generate a new image instead")


@router.get("/v1/images/{image_id}")
def retrieve(resources: ResourcesDep, tenant: Reader, image_id: str) -> ImageJob:
    """Retrieve an image in its current state. A failed one is returned too, with its `error`."""
    return show_image(resources, find(resources, tenant, image_id, "image"))


@router.get(
    "/v1/images/{image_id}/content",
    name="image_content",
    response_class=FileResponse,
    responses=file_answers("image/png", "image/webp"),
)
def content(
    resources: ResourcesDep,
    tenant: Reader,
    image_id: str,
    variant: Annotated[Literal["image", "thumbnail"], Query()] = "image",
) -> Response:
    """Download the file of an image, or a WebP of at most 320 pixels. `Range` requests are supported."""
    job = find(resources, tenant, image_id, "image")
    return artifact_response(job, resources.artifacts, None if variant == "image" else variant, resources.link_seconds)


@router.delete("/v1/images/{image_id}")
def delete(resources: ResourcesDep, tenant: Maker, image_id: str) -> ImageDeleted:
    """Delete an image with its prompt and files. One that is queued or running is cancelled first."""
    job = find(resources, tenant, image_id, "image")
    delete_job(resources, job)
    return ImageDeleted(id=job.id)


async def _answer(
    request: Request, resources: Resources, jobs: list[Job], response_format: Literal["b64_json", "url"]
) -> Images:
    if response_format == "url":
        base = resources.public_url or str(request.base_url).rstrip("/")
        urls = [base + request.app.url_path_for("image_content", image_id=job.id) for job in jobs]
        return images_of(jobs, [image_of(job, url=url) for job, url in zip(jobs, urls, strict=True)])
    files = await run_in_threadpool(_encoded, resources, jobs)
    return images_of(jobs, [image_of(job, b64_json=file) for job, file in zip(jobs, files, strict=True)])


def _encoded(resources: Resources, jobs: list[Job]) -> list[str]:
    """The files in base64. Raises `ArtifactGone`."""
    files = []
    for job in jobs:
        with open_artifact(job, resources.artifacts) as file:
            files.append(b64encode(file.read()).decode())
    return files
