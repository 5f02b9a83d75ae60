"""Catalogue entries to test with, and the text of a catalogue that has them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.models.entry import ModelEntry

_NO_VALUES: Mapping[str, Any] = {}


def a_model(
    name: str = "wan-test",
    family: str = "wan",
    *,
    defaults: Mapping[str, Any] = _NO_VALUES,
    limits: Mapping[str, Any] = _NO_VALUES,
    **fields: Any,
) -> ModelEntry:
    """A model that exists in the catalogue alone, with some fields changed; None takes a value away."""
    usual_defaults = {
        "width": 96, "height": 64, "frames": 33, "fps": 16, "steps": 50, "sf": 10, "guidance": 5.0, "flow_shift": 1.0,
        "max_sequence_length": 64,
    }  # fmt: skip
    usual_limits = {"max_width": 128, "max_height": 128, "max_frames": 49, "max_steps": 100}
    usual = {"source": "nowhere", "device": "cpu", "dtype": "float32"}
    return _entry(name, family, usual | fields, {**usual_defaults, **defaults}, {**usual_limits, **limits})


def a_micro_model(
    name: str,
    family: str,
    folder: Path,
    *,
    defaults: Mapping[str, Any] = _NO_VALUES,
    limits: Mapping[str, Any] = _NO_VALUES,
    **fields: Any,
) -> ModelEntry:
    """A checkpoint of a few thousand parameters, with some fields changed; None takes a value away."""
    usual_defaults = {
        "width": 32, "height": 32, "frames": 5, "fps": 8, "steps": 12, "sf": 4, "guidance": 3.0, "flow_shift": 1.0,
        "max_sequence_length": 8,
    }  # fmt: skip
    usual_limits = {"max_width": 64, "max_height": 64, "max_frames": 9, "max_steps": 50}
    usual = {"source": str(folder), "device": "cpu", "dtype": "float32"}
    return _entry(name, family, usual | fields, {**usual_defaults, **defaults}, {**usual_limits, **limits})


def catalogue_text(*entries: ModelEntry) -> str:
    """The TOML file of these models, with the values that were given."""
    return "\n".join(_tables(entry) for entry in entries)


def _entry(
    name: str, family: str, fields: dict[str, Any], defaults: dict[str, Any], limits: dict[str, int]
) -> ModelEntry:
    values = {field: value for field, value in defaults.items() if value is not None}
    return ModelEntry.model_validate({"name": name, "family": family, **fields, "defaults": values, "limits": limits})


def _tables(entry: ModelEntry) -> str:
    table = entry.model_dump(mode="json", exclude_unset=True, exclude={"name"})
    nested = {field: table.pop(field) for field in ("parallel", "defaults", "limits") if field in table}
    lines = [f"[models.{json.dumps(entry.name)}]", *_lines(table)]
    for field, values in nested.items():
        lines += [f"[models.{json.dumps(entry.name)}.{field}]", *_lines(values)]
    return "\n".join([*lines, ""])


def _lines(table: Mapping[str, Any]) -> list[str]:
    # JSON's strings, numbers, truth values and lists of them are TOML's too.
    return [f"{field} = {json.dumps(value)}" for field, value in table.items()]
