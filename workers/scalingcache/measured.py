"""Covariance files: what a model's uncached runs have shown, and which runs it holds for."""

import json
from dataclasses import asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.files import replacing
from workers.scalingcache import fields
from workers.scalingcache.covariance import Covariance

SCHEMA = 2
ALIKE = 1e-2
"""Two runs whose covariances are this near, relative to their size, are one run made twice, or nearly: on flux-tiny
those of one prompt and seed with 50 and 48 steps differ by half of it, those of two by 3.5 times as much or more."""
FEWEST_STEPS = 2
"""Of a run that shows how alike outputs are."""
MOST_RUNS = 10**6
MOST_SIZE_CLASS = 64
MOST_SQUARE = 1e12
"""The largest mean square of outputs or results that is believed, and one over the least: models have about 1."""
ROUNDING, UNEVEN = 1e-6, 1e-3
"""How far a noise level may be outside of 0 to 1, and the mean of a matrix's diagonal from 1."""
Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class RunKind:
    """Which runs share a covariance: those of the same weights, about the same size, with and without the same inputs.

    fingerprint: of the transformers' weights, fused adapters included.
    size_class: log2 of width · height · frames, rounded.
    guidance: whether the unconditional stream ran as well.
    input_reference: whether the runs started from a given picture.

    Steps, shift and scheduler are not in it: a covariance is told on noise levels, and answers for others near these.
    """

    model: str
    fingerprint: str
    size_class: int
    guidance: bool
    input_reference: bool

    def shown(self) -> str:
        """In a few words, for logs: `size class 18, with guidance, from an image`."""
        words = [f"size class {self.size_class}", "with guidance" if self.guidance else None]
        return ", ".join(filter(None, [*words, "from an image" if self.input_reference else None]))


@dataclass(frozen=True)
class MeasuredCovariance:
    """One covariance file.

    steps: of the runs it was measured with.
    held_out: by number of runs, the mean expected squared error on the others of predicting with the covariance of so
        many, relative to that with the usual guess alone; empty for a single run.
    expected_snr: by sf, dB of the latents that `steps` steps are expected to keep.
    prior_shares: by number of full steps, how much of the prior is in the covariance that runs are planned by, as whole
        runs have chosen it (`workers.measurement.plan_choice`); empty where none were run.
    colours: for previews, `[channels + 1, 3]`: from latents, and a one, to RGB from 0 to 1; None in older files.
    """

    kind: RunKind
    covariance: Covariance
    held_out: dict[int, float] = field(default_factory=dict)
    expected_snr: dict[int, float] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    prior_shares: dict[int, float] = field(default_factory=dict)
    colours: Array | None = None

    def prior_share(self, count: int, sigmas: Array) -> float | None:
        """For runs with `count` full steps; None where that was not tried: what is best one step further, or on other
        noise levels, need not be.

        sigmas: of the run, `[steps]`.
        """
        tried = len(sigmas) == self.steps and np.allclose(sigmas, self.covariance.sigmas, atol=1e-6)
        return self.prior_shares.get(count) if tried else None

    @property
    def steps(self) -> int:
        """How many steps the measured runs had."""
        return len(self.covariance.sigmas)

    def holds_for(self, kind: RunKind, sigmas: Array) -> bool:
        """Whether it says something of such runs. sigmas: their noise levels, `[steps]`."""
        return self.kind == kind and self.covariance.covers(np.asarray(sigmas, dtype=np.float64))

    def alike(self, other: "MeasuredCovariance") -> bool:
        """Whether both are of one run, made twice, if with a few steps more."""
        mine = self.covariance
        if not other.holds_for(self.kind, mine.sigmas):
            return False
        difference = mine.matrix - other.covariance.at(mine.sigmas).matrix
        return bool(np.linalg.norm(difference) < ALIKE * np.linalg.norm(mine.matrix))

    def save(self, path: Path) -> None:
        """Write the file, replacing an older one in one move."""
        with replacing(path) as partial:
            partial.write_text(self.text())

    def text(self) -> str:
        """The file's JSON, a row of the matrix a line."""
        covariance = self.covariance
        table: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": asdict(self.kind),
            "runs": covariance.runs,
            "energy": covariance.energy,
            "power": covariance.power,
            "sigmas": [round(value, 7) for value in covariance.sigmas.tolist()],
            "held_out": self.held_out,
            "expected_snr": self.expected_snr,
            "provenance": self.provenance,
        }
        if self.prior_shares:
            table["prior_shares"] = self.prior_shares
        if self.colours is not None:
            table["colours"] = np.round(self.colours, 5).tolist()
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in table.items()]
        rows = ",\n".join(f"  {json.dumps([round(v, 9) for v in row])}" for row in covariance.matrix.tolist())
        return "{\n" + ",\n".join([*lines, f'"matrix": [\n{rows}\n]']) + "\n}\n"

    @classmethod
    def parsed(cls, table: dict[str, Any]) -> "MeasuredCovariance":
        """From a file's JSON. Raises `ValueError`, by field, for what is none."""
        if table.get("schema") != SCHEMA:
            raise ValueError(f"schema {table.get('schema')!r}, a covariance file has {SCHEMA}")
        sigmas = _sigmas(table)
        covariance = Covariance(
            sigmas,
            _matrix(table, len(sigmas)),
            fields.number(table, "energy", 1 / MOST_SQUARE, MOST_SQUARE),
            fields.number(table, "power", 1 / MOST_SQUARE, MOST_SQUARE),
            fields.whole(table, "runs", 1, MOST_RUNS),
        )
        return cls(
            _kind(table),
            covariance,
            held_out=fields.by_count(table, "held_out", 1),
            expected_snr=fields.by_count(table, "expected_snr", 2),
            provenance=fields.texts(table, "provenance"),
            prior_shares=fields.by_count(table, "prior_shares", 2, 0.0, 1.0) if "prior_shares" in table else {},
            colours=np.array(fields.rows(table, "colours", (None, 3))) if "colours" in table else None,
        )


def _kind(table: fields.Table) -> RunKind:
    kind = fields.nested(table, "kind")
    fields.only(kind, [f"kind.{each.name}" for each in dataclass_fields(RunKind)])
    return RunKind(
        model=fields.text(kind, "kind.model"),
        fingerprint=fields.text(kind, "kind.fingerprint"),
        size_class=fields.whole(kind, "kind.size_class", 0, MOST_SIZE_CLASS),
        guidance=fields.truth(kind, "kind.guidance"),
        input_reference=fields.truth(kind, "kind.input_reference"),
    )


def _sigmas(table: fields.Table) -> NDArray[np.float64]:
    found = fields.vector(table, "sigmas", -ROUNDING, 1.0 + ROUNDING)
    if len(found) < FEWEST_STEPS:
        raise ValueError(f"sigmas has {len(found)} noise levels, and must have {FEWEST_STEPS} or more")
    sigmas = np.array(found)
    if (rising := np.flatnonzero(np.diff(sigmas) >= 0)).size:
        step = int(rising[0])
        raise ValueError(f"sigmas must fall from step to step; after {sigmas[step]:g} comes {sigmas[step + 1]:g}")
    return sigmas


def _matrix(table: fields.Table, steps: int) -> NDArray[np.float64]:
    """A covariance of outputs whose mean size is 1."""
    # With a mean diagonal of 1 no element is beyond the number of steps.
    matrix = np.array(fields.rows(table, "matrix", (steps, steps), -2.0 * steps, 2.0 * steps))
    diagonal = np.diag(matrix)
    if (nothing := np.flatnonzero(diagonal <= 0)).size:
        step = int(nothing[0])
        raise ValueError(f"matrix at row {step}, column {step}: {diagonal[step]:g} must be above 0")
    if abs(diagonal.mean() - 1.0) > UNEVEN:
        raise ValueError(f"matrix has a diagonal of mean {diagonal.mean():g}, which must be 1")
    if not np.allclose(matrix, matrix.T, atol=1e-6) or np.linalg.eigvalsh(matrix).min() < -1e-3:
        raise ValueError("matrix must be symmetric and have no negative direction")
    return matrix
