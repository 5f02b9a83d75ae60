"""Coefficient files: alpha, the threshold scale, what they were measured on, and how well they are known."""

import json
from dataclasses import asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workers.files import replacing
from workers.scalingcache import fields
from workers.scalingcache.paper.estimation import HIGHEST, LOWEST

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
        for item in dataclass_fields(self):
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
    def parsed(cls, table: dict[str, Any]) -> "Coefficients":
        """From a file's JSON. Raises `ValueError`, by field, for what is none."""
        if table.get("schema") != SCHEMA:
            raise ValueError(f"schema {table.get('schema')!r}, a file of the paper's coefficients has {SCHEMA}")
        earlier = "expected_full_steps_literal"  # the name of expected_full_steps_kappa_1 in earlier files
        table = {"expected_full_steps_kappa_1" if name == earlier else name: each for name, each in table.items()}
        fields.only(table, ["schema", *(each.name for each in dataclass_fields(cls))])
        key = _key(table)
        alpha = _alpha(table, key.steps)
        return cls(
            key=key,
            alpha=alpha,
            spread=_tensor(table, "spread", (key.steps, alpha.shape[1])),
            kappa=fields.positive(table, "kappa"),
            max_skip=fields.whole(table, "max_skip", 1),
            final_full_steps=fields.whole(table, "final_full_steps", 0),
            estimator=fields.text(table, "estimator"),
            prompts=fields.whole(table, "prompts", 1),
            seeds=fields.whole(table, "seeds", 1),
            convergence=[(int(n), distance) for n, distance in fields.rows(table, "convergence", (None, 2))],
            expected_full_steps=fields.by_count(table, "expected_full_steps", 2),
            expected_full_steps_kappa_1=fields.by_count(table, "expected_full_steps_kappa_1", 2),
            relative_change=fields.listed(table, "relative_change"),
            prediction_error=fields.listed(table, "prediction_error"),
            groups=fields.numbers(table, "groups") if "groups" in table else {},
            provenance=fields.texts(table, "provenance") if "provenance" in table else {},
        )


def _key(table: fields.Table) -> CoefficientKey:
    key = fields.nested(table, "key")
    fields.only(key, [f"key.{each.name}" for each in dataclass_fields(CoefficientKey)])
    scheduler = fields.nested(key, "key.scheduler")
    return CoefficientKey(
        model=fields.text(key, "key.model"),
        fingerprint=fields.text(key, "key.fingerprint"),
        scheduler={name.removeprefix("key.scheduler."): each for name, each in scheduler.items()},
        steps=fields.whole(key, "key.steps", 1),
        size_class=fields.whole(key, "key.size_class", 0),
        guidance=fields.truth(key, "key.guidance"),
        input_reference=fields.truth(key, "key.input_reference") if "key.input_reference" in key else False,
    )


def _alpha(table: fields.Table, steps: int) -> Tensor:
    """`[steps, blocks]`, in the range that it is measured in from row 2 on."""
    found = fields.listed(table, "alpha")
    blocks = len(found[0]) if found and isinstance(found[0], list) else 0
    alpha = _tensor(table, "alpha", (steps, max(1, blocks)))
    outside = ((alpha < LOWEST) | (alpha > HIGHEST)).nonzero().tolist()
    if (first := next(((step, block) for step, block in outside if step >= 2), None)) is not None:
        step, block = first
        measured = f"a number from {LOWEST:g} to {HIGHEST:g}"
        raise fields.wrong(f"alpha at row {step}, column {block}:", float(alpha[step, block]), measured)
    return alpha


def _tensor(table: fields.Table, name: str, shape: tuple[int, int]) -> Tensor:
    return torch.tensor(fields.rows(table, name, shape), dtype=torch.float64)


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
