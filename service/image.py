"""The answer to an image request, in the OpenAI Images shape, with our own fields beside."""

from typing import Literal

from pydantic import BaseModel, Field

from service.outlook import Unknown
from service.run import Run, run_of
from service.video import Video, VideoStatus
from workers.jobs.job import Job, JobError, JobState, Priority


class OpenAIImage(BaseModel):
    """OpenAI's keys."""

    b64_json: str | None = Field(description="The PNG in base64, with response_format b64_json.")
    url: str | None = Field(description="Where the PNG can be downloaded, with response_format url.")
    revised_prompt: None = Field(default=None, description="Always null: prompts are used unchanged.")


class Image(Run, OpenAIImage):
    """Every key is always present. Those after `revised_prompt` are this service's own."""

    id: str
    seed: int = Field(description="The same request with this seed gives the same image again.")
    result_of: str | None = Field(
        description="Id of the identical image whose result it has; null for one that was computed itself."
    )
    expires_at: int | None = Field(description="When the image and its file are deleted, in Unix seconds.")


class ImageDeleted(BaseModel):
    """Says that the image is gone."""

    id: str
    object: Literal["image.deleted"] = "image.deleted"
    deleted: Literal[True] = True


class Images(BaseModel):
    """Those after `output_format` are this service's own."""

    created: int = Field(description="Unix seconds.")
    data: list[Image]
    size: str = Field(description="Width x height in pixels.")
    output_format: Literal["png"] = "png"

    model: str
    prompt: str
    negative_prompt: str
    truncate_prompt: bool
    steps: int
    sf: int
    target_full_steps: int | None
    guidance: float
    true_cfg_scale: float
    flow_shift: float | None


class ImageJob(Run):
    """An image that is made, has been or will not be: as a Video, without what only videos have."""

    id: str
    object: Literal["image"] = "image"
    model: str
    status: VideoStatus
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    prompt: str
    size: str
    error: JobError | None
    state: JobState
    priority: Priority
    metadata: dict[str, str]
    webhook_url: str | None
    negative_prompt: str
    truncate_prompt: bool
    steps: int
    sf: int
    target_full_steps: int | None
    guidance: float
    true_cfg_scale: float
    flow_shift: float | None
    seed: int
    basis_runs: int | None
    allow_uncalibrated: bool
    deadline_at: int | None
    result_of: str | None
    queue_position: int | None
    eta_seconds: float | None
    eta_reason: Unknown | None
    attempts: int
    worker: str | None


class ImageList(BaseModel):
    """A page of images."""

    object: Literal["list"] = "list"
    data: list[ImageJob]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(description="Whether there is another page, `after` the last id of this one.")


def image_job_of(video: Video) -> ImageJob:
    """The same of a job that makes an image."""
    return ImageJob(**{name: getattr(video, name) for name in ImageJob.model_fields if name != "object"})


def image_of(job: Job, *, b64_json: str | None = None, url: str | None = None) -> Image:
    """A completed job's image, with one of the two ways to its file: the PNG in base64, or its address."""
    expires_at = None if job.expires_at is None else int(job.expires_at)
    return Image(
        b64_json=b64_json,
        url=url,
        id=job.id,
        seed=job.request.seed,
        expires_at=expires_at,
        result_of=job.result_of,
        **dict(run_of(job)),
    )


def images_of(jobs: list[Job], data: list[Image]) -> Images:
    """The answer for jobs that are alike but for their seeds, in their order."""
    request = jobs[0].request
    shared = request.model_dump(include=Images.model_fields.keys() & type(request).model_fields.keys())
    shared |= {"size": f"{request.width}x{request.height}", "target_full_steps": request.full_steps}
    return Images(created=int(jobs[0].created_at), data=data, **shared)
