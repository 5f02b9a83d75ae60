"""What a video or an image would take, without making it."""

from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from service import estimation
from service.bodies import read_body
from service.body_docs import body_docs
from service.dependencies import Resources, ResourcesDep
from service.outlook import Newcomer, Unknown
from service.permissions import Reader
from service.prompt_length import prompt_tokens
from service.reference import PictureURL
from service.resolution import resolve_images, resolve_video
from service.routes.models import Expected
from service.schemas import CreateImage, CreateVideo
from service.served import check_loadable
from workers.jobs.inspection import Inspection
from workers.jobs.job import GenerationRequest, Priority
from workers.models.duration import plan_of
from workers.models.evaluation import Evaluation, EvaluationError
from workers.scalingcache.budget import full_steps

router = APIRouter()

#: How many of a model's jobs that ended last are looked at.
LOOKED_AT = 50


class Estimate(BaseModel):
    """What is known of a job before it is made. Null is what is not known."""

    model: str
    size: str
    steps: int
    sf: int
    full_steps: int | None = Field(
        description="Steps that would be computed in full; a few more where predictions turn out bad. Null for a model "
        "whose method decides it as a run goes."
    )
    cached_steps: int | None
    decisions: str | None = Field(
        description="One letter a step, F in full and P predicted, as the last job with as many steps had them, in "
        "full and in all; before there is one, as the model's evaluation had them."
    )
    run_seconds: float | None = Field(
        description="How long a worker would have it, by the median times of the last jobs of the model and its size."
    )
    measured_jobs: int = Field(description="Over how many jobs these are medians.")
    measured_at_this_size: bool | None = Field(
        description="Whether they made results of this size; else their times are those of the nearest other size, by "
        "pixels and frames, which is too little for larger ones."
    )
    queue_position: int = Field(description="How many jobs wait that start before it.")
    queued_seconds: float | None = Field(
        description="How long it would wait for its start, by what runs and what waits before it; null without a live "
        "worker, too."
    )
    eta_seconds: float | None = Field(description="How long it would be until its result is there.")
    eta_reason: Unknown | None = Field(
        description="Why `eta_seconds` is null: nothing of the kind was `not_measured`, or `no_worker` takes it."
    )
    live_workers: int
    expected_snr: float | None = Field(
        description="Signal to noise of the latents against an uncached video's, in dB, as the method expected it of "
        "the last job with as many steps, in full and in all."
    )
    prompt_tokens: int | None = Field(
        description="How many tokens the prompt has for the text encoder that reads the most, as a worker of the model "
        "counts them; null where none answers within half a second, or many ask at a "
        "time."
    )
    prompt_token_limit: int | None = Field(
        description="How many that encoder reads; what is beyond is cut off, unless `truncate_prompt` is false."
    )
    evaluated: Expected | None = Field(
        description="Speed and fidelity of this `sf` in the model's evaluation, where that had these steps, this size "
        "and as many frames, and no `target_speedup` sets another number of full steps."
    )


class VideoEstimate(Estimate):
    """Of a video."""

    object: Literal["video.estimate"] = "video.estimate"
    frames: int


class ImageEstimate(Estimate):
    """Of one image, also where `n` are asked for."""

    object: Literal["image.estimate"] = "image.estimate"


async def _video(request: Request) -> CreateVideo:
    async with read_body(request, CreateVideo) as body:
        return body


async def _image(request: Request) -> CreateImage:
    async with read_body(request, CreateImage) as body:
        return body


@router.post("/v1/videos:estimate", openapi_extra=body_docs(CreateVideo), tags=["videos"])
def estimate_video(
    resources: ResourcesDep, tenant: Reader, body: Annotated[CreateVideo, Depends(_video)]
) -> VideoEstimate:
    """Say what the video of this body would take, and where it would stand. Nothing is made; what would be refused is
    refused."""
    request = resolve_video(body, resources.catalogue)
    if isinstance(body.input_reference, PictureURL):
        resources.pictures.check(body.input_reference)
    found = _estimated(resources, tenant, request, Priority(body.priority))
    return VideoEstimate(frames=request.frames, **dict(found))


@router.post("/v1/images:estimate", openapi_extra=body_docs(CreateImage), tags=["images"])
def estimate_image(
    resources: ResourcesDep, tenant: Reader, body: Annotated[CreateImage, Depends(_image)]
) -> ImageEstimate:
    """Say what the first image of this body would take, and where it would stand. Nothing is made; what would be
    refused is refused."""
    request = resolve_images(body, resources.catalogue)[0]
    return ImageEstimate(**dict(_estimated(resources, tenant, request, Priority(body.priority))))


def _estimated(resources: Resources, tenant: str, request: GenerationRequest, priority: Priority) -> Estimate:
    resources.admission.check_cost(request)
    live = resources.presence.workers()
    check_loadable(live, request.model)
    inspection, model = Inspection(resources.connection), request.model
    completed, ahead = inspection.last_completed(model, LOOKED_AT), inspection.waiting(model, priority, tenant)
    workers = sum(worker.takes(model) for worker in live)
    plan = plan_of(request, resources.catalogue.entry(model).method)
    expected = resources.outlook.expect(Newcomer(request, priority, tenant), ahead, live)
    evaluation = _evaluation(resources, model)
    tokens = prompt_tokens(resources.token_counts, request) if workers else None
    earlier = [job.report.decisions for job in completed if job.report]
    earlier += [pair.decisions for pair in evaluation.pairs] if evaluation else []
    return Estimate(
        model=model,
        size=f"{request.width}x{request.height}",
        steps=request.steps,
        sf=request.sf,
        full_steps=plan and plan.full,
        cached_steps=plan and plan.cached,
        decisions=estimation.decisions(request, plan, earlier) if plan else None,
        run_seconds=expected.run_seconds,
        measured_jobs=expected.pace.runs if expected.pace else 0,
        measured_at_this_size=expected.pace and expected.pace.same_size,
        queue_position=ahead,
        queued_seconds=expected.queued_seconds,
        eta_seconds=expected.eta.seconds,
        eta_reason=expected.eta.reason,
        live_workers=workers,
        expected_snr=estimation.expected_snr(request, plan, completed) if plan else None,
        prompt_tokens=tokens and tokens.tokens,
        prompt_token_limit=tokens and tokens.limit,
        evaluated=_evaluated(evaluation, request),
    )


def _evaluation(resources: Resources, model: str) -> Evaluation | None:
    try:
        return resources.catalogue.evaluation(model)
    except EvaluationError as error:
        structlog.get_logger("service").warning("evaluation unreadable", model=model, error=str(error))
        return None


def _evaluated(found: Evaluation | None, request: GenerationRequest) -> Expected | None:
    size, from_image = f"{request.width}x{request.height}", request.input_reference is not None
    asked = (request.steps, size, request.frames, from_image)
    if found is None or asked != (found.steps, found.size, found.frames, found.input_reference):
        return None
    if request.full_steps not in (None, full_steps(request.sf, request.steps)):
        return None
    row = next((row for row in found.rows if row.sf == request.sf), None)
    return None if row is None else Expected(**row.model_dump(include=set(Expected.model_fields)))
