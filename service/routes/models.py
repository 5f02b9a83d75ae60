"""The models that this service serves."""

from collections import Counter
from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.parts import Parts, Service
from workers.jobs.errors import QueueUnavailable
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
    media: Literal["video", "image"]
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
def list_models(parts: Service) -> ModelList:
    """All models, in the order of the catalogue; the first is the default."""
    workers = _serving(parts)
    return ModelList(data=[_show(parts, entry, workers) for entry in parts.catalogue.entries.values()])


@router.get("/v1/models/{model_id}")
def retrieve(parts: Service, model_id: str) -> Model:
    """One model: what it takes and what it gets when a request does not say."""
    return _show(parts, parts.catalogue.entry(model_id), _serving(parts))


def _serving(parts: Parts) -> Counter[str] | None:
    try:
        return parts.serving()
    except QueueUnavailable:
        return None


def _show(parts: Parts, entry: ModelEntry, workers: Counter[str] | None) -> Model:
    family = parts.catalogue.family(entry.name)
    return Model(
        id=entry.name,
        created=parts.served_since,
        owned_by="scalingcache-serve",
        family=entry.family,
        media=family.media,
        defaults=entry.defaults,
        limits=entry.limits,
        size_multiple=family.size_multiple,
        frame_multiple=family.frame_multiple,
        input_reference=family.input_reference,
        sf=SfRange(minimum=2, maximum=entry.limits.max_steps, default=entry.defaults.sf),
        expected=_expected(parts, entry.name),
        live_workers=None if workers is None else workers[entry.name],
    )


def _expected(parts: Parts, name: str) -> Evaluated | None:
    try:
        found = parts.catalogue.evaluation(name)
    except EvaluationError as error:  # One model's broken file must not hide the other models.
        structlog.get_logger("service").warning("evaluation unreadable", model=name, error=str(error))
        return None
    if found is None:
        return None
    return Evaluated(
        steps=found.steps,
        size=found.size,
        frames=found.frames,
        input_reference=found.input_reference,
        prompts=len({(pair.prompt, pair.seed) for pair in found.pairs}),
        date=found.provenance.get("date", ""),
        sf=[Expected(**row.model_dump(include=set(Expected.model_fields))) for row in found.rows],
    )
