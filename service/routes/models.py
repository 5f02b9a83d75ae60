"""The models that this service serves."""

from collections.abc import Sequence
from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.dependencies import Resources, ResourcesDep
from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import Media
from workers.jobs.presence import WorkerInfo
from workers.models.entry import Defaults, Limits, ModelEntry
from workers.models.evaluation import Estimate, EvaluationError

router = APIRouter(tags=["models"])


class SfRange(BaseModel):
    minimum: int
    maximum: int = Field(description="The most steps a request may have; sf is at most the steps of its request.")
    default: int


class Expected(BaseModel):
    """What one sf brought, over the prompts of the model's evaluation."""

    sf: int
    full_steps: float
    speedup: Estimate = Field(description="Of denoising, with its 95 % confidence interval.")
    psnr: Estimate = Field(description="dB against uncached runs of the same seeds.")
    ssim: Estimate = Field(description="Against uncached runs of the same seeds.")
    lpips: Estimate | None = Field(description="Against uncached runs of the same seeds.")


class Evaluated(BaseModel):
    """Speed and fidelity to expect at this number of steps and this size."""

    steps: int
    size: str
    frames: int
    input_reference: bool = Field(description="Whether the videos went on from given first frames.")
    prompts: int
    date: str
    sf: list[Expected]


class Model(BaseModel):
    """OpenAI's model shape; from `family` on the keys are this service's own."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    family: str
    media: Media
    defaults: Defaults
    limits: Limits
    size_multiple: int = Field(description="Width and height are multiples of this.")
    frame_multiple: int = Field(description="Frames are a multiple of this, plus one.")
    input_reference: Literal["none", "optional", "required"] = Field(description="Whether it starts from an image.")
    sf: SfRange
    expected: Evaluated | None = Field(description="What the model's evaluation found; null before it has one.")
    live_workers: int | None = Field(description="Those that take jobs; null when the queue cannot be asked.")


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models")
def list_models(resources: ResourcesDep) -> ModelList:
    """All models, in the order of the catalogue; the first is the default."""
    workers = _live_workers(resources)
    return ModelList(data=[_show(resources, entry, workers) for entry in resources.catalogue.entries.values()])


@router.get("/v1/models/{model_id}")
def retrieve(resources: ResourcesDep, model_id: str) -> Model:
    """One model: what it takes and what it gets when a request does not say."""
    return _show(resources, resources.catalogue.entry(model_id), _live_workers(resources))


def _live_workers(resources: Resources) -> Sequence[WorkerInfo] | None:
    try:
        return resources.presence.workers()
    except QueueUnavailable:
        return None


def _show(resources: Resources, entry: ModelEntry, workers: Sequence[WorkerInfo] | None) -> Model:
    family = resources.catalogue.family(entry.name)
    return Model(
        id=entry.name,
        created=resources.served_since,
        owned_by="scalingcache-serve",
        family=entry.family,
        media=family.media,
        defaults=entry.defaults,
        limits=entry.limits,
        size_multiple=family.size_multiple,
        frame_multiple=family.frame_multiple,
        input_reference=family.input_reference,
        sf=SfRange(minimum=2, maximum=entry.limits.max_steps, default=entry.defaults.sf),
        expected=_expected(resources, entry.name),
        live_workers=None if workers is None else sum(worker.takes(entry.name) for worker in workers),
    )


def _expected(resources: Resources, name: str) -> Evaluated | None:
    try:
        evaluation = resources.catalogue.evaluation(name)
    except EvaluationError as error:  # One model's broken file must not hide the other models.
        structlog.get_logger("service").warning("evaluation unreadable", model=name, error=str(error))
        return None
    if evaluation is None:
        return None
    return Evaluated(
        steps=evaluation.steps,
        size=evaluation.size,
        frames=evaluation.frames,
        input_reference=evaluation.input_reference,
        prompts=len({(pair.prompt, pair.seed) for pair in evaluation.pairs}),
        date=evaluation.provenance.get("date", ""),
        sf=[Expected(**row.model_dump(include=set(Expected.model_fields))) for row in evaluation.rows],
    )
