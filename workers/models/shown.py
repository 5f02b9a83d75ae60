"""The catalogue as variables that make it again, each with where its value came from."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workers.models.entry import ModelEntry
from workers.models.layers import Layer, origin, value_of, variable

#: What `.env` takes without quotes.
_PLAIN = re.compile(r"[\w./:@+-]+")


def shown(entries: Mapping[str, ModelEntry], layers: Sequence[Layer]) -> str:
    """Every value of every entry as a line of a `.env` file; at its end the file or variable that gives it.

    Values that are not set are left out, and so are tables without any.
    """
    return "\n".join(line for entry in entries.values() for line in _lines(entry, layers))


def _lines(entry: ModelEntry, layers: Sequence[Layer]) -> Iterator[str]:
    for name, value in entry.model_dump(mode="json", exclude={"name"}).items():
        values = value.items() if isinstance(value, dict) else [(None, value)]
        for inner, each in values:
            path = (entry.name, name) if inner is None else (entry.name, name, inner)
            if each not in (None, [], ""):
                given = any(layer.has(path) for layer in layers)
                yield f"{variable(*path)}={_written(each)}  # {origin(layers, path) if given else 'default'}"


def _written(value: Any) -> str:
    """A value so that `.env` and then the catalogue read the same: TOML within quotes where it needs them."""
    text = value if isinstance(value, str) and value_of(value) == value else _toml(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items() if each is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
