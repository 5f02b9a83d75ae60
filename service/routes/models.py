"""The models that this service serves."""

from collections.abc import Sequence
from typing import Literal

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.dependencies import Resources, ResourcesDep
from service.permissions import Reader
from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import LEAST_SF, Media
from workers.jobs.presence import WorkerInfo
from workers.models.basis import Measured, readable
from workers.models.entry import Defaults, Limits, Method, ModelEntry
from workers.models.evaluation import Estimate, EvaluationError
from workers.scalingcache.budget import computed, full_steps

router = APIRouter(tags=["models"])


class SfRange(BaseModel):
    """The values of sf that a request may set."""

    minimum: int
    maximum: int = Field(description="The most steps a request may have; sf must not exceed the steps of its request.")
    default: int
    full_steps: dict[int, int] | None = Field(
        description="By sf, how many of the default number of steps are computed in full in all; null for a model "
        "whose method decides it as a run goes."
    )


class Expected(BaseModel):
    """What one sf brought in the model's evaluation, averaged over its prompts."""

    sf: int
    full_steps: float
    speedup: Estimate = Field(
        description="Of denoising, compared with uncached runs, with the 95 % confidence interval."
    )
    psnr: Estimate = Field(description="In dB, compared with uncached runs of the same seeds.")
    ssim: Estimate = Field(description="Compared with uncached runs of the same seeds.")
    lpips: Estimate | None = Field(description="Compared with uncached runs of the same seeds.")


class Evaluated(BaseModel):
    """Expected speed and fidelity at this number of steps and this size."""

    steps: int
    size: str
    frames: int
    input_reference: bool = Field(description="Whether the videos started from first frames.")
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
    size_multiple: int = Field(description="Width and height must be multiples of this.")
    frame_multiple: int = Field(description="The number of frames must be a multiple of this, plus one.")
    input_reference: Literal["none", "optional", "required"] = Field(
        description="Whether a request may or must bring a first frame."
    )
    method: Method = Field(description="How steps are predicted.")
    sf: SfRange
    rests_on: list[Measured] = Field(
        description="What acceleration rests on from the start: the model's measured files. A request that none holds "
        "for runs on a prior until uncached runs of its kind were seen, as the `basis` of each result says; with the "
        "method `paper` it runs in full."
    )
    expected: Evaluated | None = Field(description="Results of the model's evaluation; null if there is none.")
    live_workers: int | None = Field(description="Workers that accept its jobs; null while Redis cannot be reached.")


class ModelList(BaseModel):
    """All models that are served."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models")
def list_models(resources: ResourcesDep, _: Reader) -> ModelList:
    """List all models. The first of each kind of media is the default."""
    workers = _live_workers(resources)
    return ModelList(data=[_show(resources, entry, workers) for entry in resources.catalogue.entries.values()])


@router.get("/v1/models/{model_id}")
def retrieve(resources: ResourcesDep, _: Reader, model_id: str) -> Model:
    """Retrieve a model: its limits, and its defaults for fields that a request omits."""
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
        method=entry.method,
        sf=_range(entry),
        rests_on=readable(entry.coefficients, entry.method),
        expected=_expected(resources, entry.name),
        live_workers=None if workers is None else sum(worker.takes(entry.name) for worker in workers),
    )


def _range(entry: ModelEntry) -> SfRange:
    steps = entry.defaults.steps
    counts = {sf: computed(full_steps(sf, steps), steps) for sf in range(LEAST_SF, steps + 1)}
    by_sf = counts if entry.method == "covariance" else None
    return SfRange(minimum=LEAST_SF, maximum=entry.limits.max_steps, default=entry.defaults.sf, full_steps=by_sf)


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
