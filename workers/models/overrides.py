"""What goes over the catalogue's tables, field by field: another file, then variables of the environment."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from workers.jobs.errors import ScalingCacheError

PREFIX = "SCALINGCACHE_MODELS__"
_BETWEEN = "__"


class CatalogueError(ScalingCacheError):
    """The catalogue, or what goes over it, is missing or wrong; the message says where."""

    code = "catalogue_error"


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables in one. Where both have a value, the one above counts; an empty text takes the value away."""
    both = dict(below)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(both.get(name), Mapping):
            both[name] = merged(both[name], value)
        elif value == "":
            both.pop(name, None)
        else:
            both[name] = value
    return both


def from_environment(models: Mapping[str, Any], environment: Mapping[str, str | None]) -> dict[str, Any]:
    """The tables that variables make: `SCALINGCACHE_MODELS__WAN_TINY__DEFAULTS__SF=8` for one of the `models`.

    Empty variables do not count, as with settings. Raises `CatalogueError` for one that names no model, or several.
    """
    names: dict[str, list[str]] = {}
    for name in models:
        names.setdefault(variable_part(name), []).append(name)
    tables: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or not text:
            continue
        model, *path = variable.removeprefix(PREFIX).split(_BETWEEN)
        if model not in names or not path:
            variables = ", ".join(f"{PREFIX}{name}{_BETWEEN}…" for name in names)
            raise CatalogueError(f"{variable} is no field of a model; allowed: {variables}")
        if len(names[model]) > 1:
            raise CatalogueError(f"{variable} could mean any of {', '.join(names[model])}; set it in a file instead")
        table = tables.setdefault(names[model][0], {})
        for field in path[:-1]:
            table = table.setdefault(field.lower(), {})
            if not isinstance(table, dict):
                raise CatalogueError(f"{variable}: another variable gives all of {field.lower()}")
        table[path[-1].lower()] = _value(text)
    return tables


def variable_part(model: str) -> str:
    """A model's name as it stands in a variable: `wan2.1-t2v` is `WAN2_1_T2V`."""
    return re.sub(r"[^A-Z0-9]", "_", model.upper())


def _value(text: str) -> Any:
    """A number, a boolean, a list or a quoted text as TOML writes it; anything else is text as it stands."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
