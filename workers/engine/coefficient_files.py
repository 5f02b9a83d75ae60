"""The coefficient files of a model: read, and held against the model that they are for. No weights are needed here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from workers.jobs.errors import CoefficientsMismatch
from workers.models.entry import Method, ModelEntry
from workers.scalingcache import fields, measured
from workers.scalingcache.measured import MeasuredCovariance, RunKind
from workers.scalingcache.paper import coefficients
from workers.scalingcache.paper.coefficients import CoefficientKey, Coefficients

log = structlog.get_logger()

File = tuple[Path, MeasuredCovariance | Coefficients]
#: Coefficient files that were read, by their paths.
Files = Sequence[File]

_PARSERS: dict[int, Callable[[dict[str, Any]], MeasuredCovariance | Coefficients]] = {
    coefficients.SCHEMA: Coefficients.parsed,
    measured.SCHEMA: MeasuredCovariance.parsed,
}
_READ = f"{coefficients.SCHEMA}, of the method paper, or {measured.SCHEMA}, of a covariance"


def read_coefficients(path: Path) -> MeasuredCovariance | Coefficients:
    """A file of either method, told apart by its schema. Raises `CoefficientsMismatch` that names the file."""
    try:
        table = fields.read_table(path)
        return _parser(table)(table)
    except OSError as error:
        raise CoefficientsMismatch(f"coefficient file {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise CoefficientsMismatch(f"coefficient file {path}: {error}") from error


def _parser(table: fields.Table) -> Callable[[dict[str, Any]], MeasuredCovariance | Coefficients]:
    """By the schema, if the rest is what has it. Raises `ValueError`."""
    if "schema" not in table:
        raise ValueError(f"schema is missing, and must be {_READ}")
    schema = fields.whole(table, "schema", 0)
    if schema not in _PARSERS:
        raise fields.wrong("schema", schema, _READ)
    key, other = ("key", "kind") if schema == coefficients.SCHEMA else ("kind", "key")
    if key not in table and other in table:
        raise ValueError(f"schema {schema}, but with the {other} of the other method's files; schema must be {_READ}")
    return _PARSERS[schema]


def method_of(file: MeasuredCovariance | Coefficients) -> Method:
    """Which method takes it."""
    return "covariance" if isinstance(file, MeasuredCovariance) else "paper"


def files_of(entry: ModelEntry) -> list[File]:
    """The entry's files that are there. One that is not written yet is told of, and the model is served without it.

    Raises `CoefficientsMismatch` for one that is broken or of another model.
    """
    paths = [Path(path) for path in entry.coefficients]
    for path in paths:
        if not path.exists():
            log.warning("coefficients file missing", model=entry.name, path=str(path), method=entry.method)
    return [file_of(path, entry.name) for path in paths if path.exists()]


def file_of(path: Path, model: str) -> File:
    """One file, of this model. Raises `CoefficientsMismatch`."""
    found = read_coefficients(path)
    _check_measured_on(path, "model", _key(found).model, model, model)
    return path, found


def check_weights(files: Files, weights: str, model: str) -> None:
    """Raise `CoefficientsMismatch` for a file of other weights, by their fingerprint."""
    for path, found in files:
        _check_measured_on(path, "weights", _key(found).fingerprint, weights, model)


def check_colours(files: Files, channels: int, model: str) -> None:
    """Raise `CoefficientsMismatch` for a file whose colours are of other latents."""
    for path, found in files:
        colours = found.colours if isinstance(found, MeasuredCovariance) else None
        if colours is not None and len(colours) != channels + 1:
            raise CoefficientsMismatch(
                f"coefficient file {path} has colours of {len(colours) - 1} latent channels, but {model} has "
                f"{channels}; {_again(path, model)}"
            )


def check_blocks(files: Files, blocks: int, model: str) -> None:
    """Raise `CoefficientsMismatch` for a file whose alpha is of another number of blocks than a transformer has."""
    for path, found in files:
        measured_blocks = found.alpha.shape[1] if isinstance(found, Coefficients) else blocks
        if measured_blocks != blocks:
            raise CoefficientsMismatch(
                f"coefficient file {path} has alpha of {measured_blocks} blocks, but a transformer of {model} has "
                f"{blocks}; {_again(path, model)}"
            )


def _check_measured_on(path: Path, kind: str, measured_on: str, current: str, model: str) -> None:
    if measured_on != current:
        raise CoefficientsMismatch(
            f"coefficient file {path} was measured on {kind} {measured_on}, but {model} has {current}; "
            f"{_again(path, model)}"
        )


def _again(path: Path, model: str) -> str:
    return f"measure again with: python -m workers calibrate --model {model} -o {path}"


def _key(found: MeasuredCovariance | Coefficients) -> RunKind | CoefficientKey:
    return found.kind if isinstance(found, MeasuredCovariance) else found.key
