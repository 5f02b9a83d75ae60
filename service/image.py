"""The answer to an image request, in the OpenAI Images shape, with our own fields beside."""

from typing import Literal

from pydantic import BaseModel, Field

from service.video import Speedup, Timings, reason_of, speedup_of, timings_of
from workers.jobs.job import Job


class Image(BaseModel):
    """Every key is always present; from `id` on they are this service's own."""

    b64_json: str | None = Field(description="The PNG in base64, with response_format b64_json.")
    url: str | None = Field(description="Where the PNG is, with response_format url.")
    revised_prompt: None = Field(default=None, description="Prompts are taken as they are.")

    id: str
    seed: int = Field(description="Gives the same image again.")
    full_steps: int | None
    cached_steps: int | None
    decisions: str | None = Field(description="One letter a step: F computed in full, P predicted.")
    engaged: bool | None = Field(description="Whether the cache was in force.")
    reason: str | None = Field(description="Why it was not, or on what else than measured coefficients it stands.")
    speedup: Speedup | None
    timings: Timings


class Images(BaseModel):
    """From `model` on the keys are this service's own."""

    created: int
    data: list[Image]
    size: str
    output_format: Literal["png"] = "png"

    model: str
    prompt: str
    negative_prompt: str
    steps: int
    sf: int
    guidance: float
    true_cfg_scale: float
    flow_shift: float | None


def image_of(job: Job, *, b64_json: str | None = None, url: str | None = None) -> Image:
    """A completed job's image, with one of the two ways to its file."""
    report = job.report
    return Image(
        b64_json=b64_json,
        url=url,
        id=job.id,
        seed=job.request.seed,
        full_steps=report and report.full_steps,
        cached_steps=report and report.cached_steps,
        decisions=report and report.decisions,
        engaged=report and report.engaged,
        reason=reason_of(report),
        speedup=speedup_of(report),
        timings=timings_of(job),
    )


def images_of(jobs: list[Job], data: list[Image]) -> Images:
    """The answer for jobs that are alike but for their seeds, in their order."""
    request = jobs[0].request
    shared = request.model_dump(include=Images.model_fields.keys() & type(request).model_fields.keys())
    return Images(created=int(jobs[0].created_at), data=data, size=f"{request.width}x{request.height}", **shared)
