"""A model in memory: the stock pipeline, its family, and the coefficients that belong to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diffusers import DiffusionPipeline

from workers.engine import adapters, switches
from workers.engine.completeness import whole_checkpoint
from workers.engine.fingerprint import fingerprint
from workers.jobs.errors import CoefficientsMismatch, ModelLoadFailed
from workers.models.checkpoint import check_folder
from workers.models.entry import ModelEntry
from workers.models.family import Family
from workers.scalingcache.coefficients import Coefficients


@dataclass(frozen=True)
class LoadedModel:
    """Everything that outlives a job. `coefficients` is empty for a model that was not calibrated."""

    entry: ModelEntry
    family: Family
    pipeline: DiffusionPipeline
    fingerprint: str
    coefficients: tuple[Coefficients, ...]

    @property
    def blocks(self) -> int:
        """How many blocks a transformer of this model has."""
        return len(self.family.layout().blocks(self.pipeline.transformer))


def load_model(entry: ModelEntry, family: Family, *, coefficients: bool = True) -> LoadedModel:
    """Load an entry of the catalogue, with its coefficients unless they are about to be measured.

    Raises `ModelLoadFailed` when the checkpoint cannot be read or a switch of the entry cannot be had here,
    `CoefficientsMismatch` when the coefficient file is broken or was measured on other weights.
    """
    fitted: tuple[Coefficients, ...] = ()
    with _named(entry):
        switches.check_device(entry)
        check_folder(entry)
        with whole_checkpoint():
            pipeline = family.load(entry)
        pipeline.set_progress_bar_config(disable=True)
        adapters.fuse(pipeline, entry.loras)
        transformers = family.transformers(pipeline)
        weights = fingerprint(*transformers)  # Before they are moved: offloaded weights are not all in one place.
    if coefficients:
        fitted = tuple(_coefficients(Path(path), entry.name, weights) for path in entry.coefficients)
    with _named(entry):
        switches.apply(pipeline, transformers, entry)
    return LoadedModel(entry, family, pipeline, weights, fitted)


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
    for kind, measured, current in (("model", loaded.key.model, model), ("weights", loaded.key.fingerprint, weights)):
        if measured != current:
            raise CoefficientsMismatch(
                f"coefficient file {path} was measured on {kind} {measured}, but {model} has {current}; "
                f"measure again with: python -m workers calibrate --model {model} -o {path}"
            )
    return loaded
