"""Coefficient files: alpha, the threshold scale, what they were measured on, and how well they are known."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workers.files import replacing

SCHEMA = 1


@dataclass(frozen=True)
class CoefficientKey:
    """What coefficients are valid for. Two keys are interchangeable only when every field is equal.

    fingerprint: of the transformer's weights, fused adapters included.
    scheduler: class name and the settings that shape the noise levels.
    size_class: log2 of width · height · frames, rounded: neighbouring sizes share coefficients.
    guidance: whether the unconditional stream ran as well.
    input_reference: whether the runs started from a given picture.
    """

    model: str
    fingerprint: str
    scheduler: dict[str, Any]
    steps: int
    size_class: int
    guidance: bool
    input_reference: bool = False

    def shown(self) -> str:
        """In a few words, for logs: `50 steps, size class 18, with guidance, from an image`."""
        words = [f"{self.steps} steps", f"size class {self.size_class}", "with guidance" if self.guidance else None]
        return ", ".join(filter(None, [*words, "from an image" if self.input_reference else None]))

    def difference(self, other: "CoefficientKey") -> str | None:
        """The first field that differs, with both values, or None."""
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            if mine != theirs:
                return _difference(item.name, mine, theirs)
        return None


def _difference(name: str, measured: Any, current: Any) -> str:
    """Of two tables the values that differ: their other settings would only hide them."""
    if not (isinstance(measured, dict) and isinstance(current, dict)):
        return f"{name}: measured on {measured!r}, this run has {current!r}"
    return ", ".join(
        f"{name} {key}: measured on {measured.get(key)!r}, this run has {current.get(key)!r}"
        for key in dict.fromkeys([*measured, *current])
        if measured.get(key) != current.get(key)
    )


@dataclass(frozen=True)
class Coefficients:
    """One coefficient file.

    alpha, spread: `[steps, blocks]`, estimate and standard deviation across samples; rows 0 and 1 are not used.
    kappa: scale of the threshold, see `IntervalSettings`.
    max_skip, final_full_steps: the settings that `kappa` was fitted with.
    expected_full_steps: by sf, the simulated mean number of full steps; `expected_full_steps_kappa_1` with kappa = 1.
    groups: by kind of prompt, mean |alpha of that kind - alpha| (the paper's Table 4); empty when the prompts had none.
    relative_change: `[steps]`, the paper's mean ē per step over the samples.
    prediction_error: `[steps - 2]`, squared error of predicting one step ahead, relative to repeating the last output.
    """

    key: CoefficientKey
    alpha: Tensor
    spread: Tensor
    kappa: float
    max_skip: int
    final_full_steps: int
    estimator: str
    prompts: int
    seeds: int
    convergence: list[tuple[int, float]]
    expected_full_steps: dict[int, float]
    expected_full_steps_kappa_1: dict[int, float]
    relative_change: list[float]
    prediction_error: list[float]
    groups: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file, replacing an older one in one move."""
        table = asdict(self) | {"schema": SCHEMA}
        table["alpha"] = _rows(self.alpha)
        table["spread"] = _rows(self.spread)
        with replacing(path) as partial:
            partial.write_text(_dumps(table))

    @classmethod
    def load(cls, path: Path) -> "Coefficients":
        """Read a file. Raises `ValueError` that names the file when it is missing, of another schema, or broken."""
        try:
            table = json.loads(path.read_text())
            if (schema := table.pop("schema", None)) != SCHEMA:
                raise ValueError(f"schema {schema!r}, this version reads {SCHEMA}")
            table["key"] = CoefficientKey(**table["key"])
            table["alpha"] = torch.tensor(table["alpha"], dtype=torch.float64)
            table["spread"] = torch.tensor(table["spread"], dtype=torch.float64)
            if "expected_full_steps_literal" in table:  # its name in earlier files
                table["expected_full_steps_kappa_1"] = table.pop("expected_full_steps_literal")
            table["convergence"] = [(n, value) for n, value in table["convergence"]]
            for name in ("expected_full_steps", "expected_full_steps_kappa_1"):
                table[name] = {int(sf): value for sf, value in table[name].items()}
            loaded = cls(**table)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"coefficient file {path}: {error}") from error
        if loaded.alpha.ndim != 2 or len(loaded.alpha) != loaded.key.steps or not loaded.alpha.isfinite().all():
            raise ValueError(f"coefficient file {path}: alpha must be {loaded.key.steps} finite rows of one per block")
        return loaded


def _rows(table: Tensor) -> list[list[float]]:
    return [[round(value, 5) for value in row] for row in table.tolist()]


def _dumps(table: dict[str, Any]) -> str:
    """JSON with one line a field and one line a row of a table, so that a diff of two files can be read."""
    lines = []
    for name, value in table.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            rows = ",\n".join(f"  {json.dumps(row)}" for row in value)
            lines.append(f"{json.dumps(name)}: [\n{rows}\n]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
