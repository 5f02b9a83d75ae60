"""A model in memory: the stock pipeline, its family, and the coefficients that belong to it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from workers.engine import switches
from workers.engine.fingerprint import fingerprint
from workers.jobs.errors import CoefficientsMismatch, ModelLoadFailed, UnsupportedPipeline
from workers.jobs.job import GenerationRequest
from workers.models.checkpoint import check_folder
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.scalingcache.coefficients import CoefficientKey, Coefficients

# The settings of a flow-matching scheduler that shape its noise levels or its update.
_SCHEDULER_SETTINGS = (
    "flow_shift", "shift", "use_dynamic_shifting", "use_flow_sigmas", "use_karras_sigmas", "use_exponential_sigmas",
    "use_beta_sigmas", "solver_order", "num_train_timesteps",
)  # fmt: skip


@dataclass(frozen=True)
class LoadedModel:
    """Everything that outlives a job. `coefficients` is empty for a model that was not calibrated."""

    entry: ModelEntry
    family: Family
    pipeline: DiffusionPipeline
    fingerprint: str
    coefficients: tuple[Coefficients, ...]

    def scheduler(self, request: GenerationRequest) -> Any:
        """A fresh scheduler for one run.

        Raises `UnsupportedPipeline` when it calls the model several times a step, or has no shift to set.
        """
        stock = self.pipeline.scheduler
        shift = {} if request.flow_shift is None else {_shift_setting(stock): request.flow_shift}
        scheduler = type(stock).from_config(stock.config, **shift)
        if scheduler.order != 1:
            raise UnsupportedPipeline(
                f"scheduler {type(stock).__name__} calls the transformer {scheduler.order} times a step; only "
                "schedulers of order 1 are supported"
            )
        return scheduler

    def key(self, request: GenerationRequest) -> CoefficientKey:
        """What coefficients for this request would have to be measured on."""
        scheduler = self.scheduler(request)
        settings = {name: scheduler.config[name] for name in _SCHEDULER_SETTINGS if name in scheduler.config}
        if settings.get("use_dynamic_shifting"):
            settings["halfway_sigma"] = self._halfway_sigma(request)
        if (boundary := self.pipeline.config.get("boundary_ratio")) is not None:
            settings["boundary_ratio"] = boundary  # Where one expert takes over from the other.
        return CoefficientKey(
            model=self.entry.name,
            fingerprint=self.fingerprint,
            scheduler={"class": type(scheduler).__name__} | settings,
            steps=request.steps,
            size_class=round(math.log2(request.width * request.height * request.frames)),
            guidance=self.family.guided(request),
            input_reference=request.input_reference is not None,
        )

    def _halfway_sigma(self, request: GenerationRequest) -> float:
        """The noise level halfway through a run, which says how far the size shifts the schedule.

        In steps of 0.05, so that sizes with nearly the same schedule share coefficients.
        """
        two_steps = request.model_copy(update={"steps": 2})
        return round(float(self.family.sigmas(self.scheduler(request), two_steps)[1]) * 20) / 20

    def segments(self, request: GenerationRequest) -> Sequence[int]:
        """How many consecutive steps of a run each of the family's transformers computes."""
        return self.family.segments(self.pipeline, self.scheduler(request), request)


def _shift_setting(scheduler: Any) -> str:
    """What the schedulers of diffusers call the flow shift. Raises `UnsupportedPipeline` when there is none to set."""
    names = [name for name in ("flow_shift", "shift") if name in scheduler.config]
    if not names or scheduler.config.get("use_dynamic_shifting"):
        raise UnsupportedPipeline(f"scheduler {type(scheduler).__name__} has no flow_shift that a request can set")
    return names[0]


def load_model(entry: ModelEntry, family: Family, *, coefficients: bool = True) -> LoadedModel:
    """Load an entry of the catalogue, with its coefficients unless they are about to be measured.

    Raises `ModelLoadFailed` when the checkpoint cannot be read or a switch of the entry cannot be had here,
    `CoefficientsMismatch` when the coefficient file is broken or was measured on other weights.
    """
    known: tuple[Coefficients, ...] = ()
    with _named(entry):
        switches.check_device(entry)
        check_folder(entry)
        pipeline = family.load(entry)
        pipeline.set_progress_bar_config(disable=True)
        switches.fuse_loras(pipeline, entry)
        transformers = family.transformers(pipeline)
        weights = fingerprint(*transformers)  # Before they are moved: offloaded weights are not all in one place.
    if coefficients:
        known = tuple(_coefficients(Path(path), entry.name, weights) for path in entry.coefficients)
    with _named(entry):
        switches.apply(pipeline, transformers, entry)
    return LoadedModel(entry, family, pipeline, weights, known)


@contextmanager
def _named(entry: ModelEntry) -> Iterator[None]:
    """Whatever the readers of files and diffusers raise becomes `ModelLoadFailed`, which says of which model."""
    try:
        yield
    except Exception as error:
        raise ModelLoadFailed(f"model {entry.name} from {entry.source}: {error}") from error


def _coefficients(path: Path, model: str, weights: str) -> Coefficients:
    try:
        loaded = Coefficients.load(path)
    except ValueError as error:
        raise CoefficientsMismatch(str(error)) from error
    for what, measured, current in (("model", loaded.key.model, model), ("weights", loaded.key.fingerprint, weights)):
        if measured != current:
            raise CoefficientsMismatch(
                f"coefficient file {path} was measured on {what} {measured}, but {model} has {current}; "
                f"measure again with: python -m workers calibrate --model {model} -o {path}"
            )
    return loaded
