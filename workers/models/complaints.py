"""What is wrong with an entry of the catalogue: which file or variable, which value, and what to do about it."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from workers.jobs.errors import InvalidRequest, plain_reason
from workers.models.entry import Defaults, Limits, Lora, ModelEntry, Parallel
from workers.models.layers import CatalogueError, Layer, origin

_TABLES: Mapping[str, type[Defaults] | type[Limits] | type[Lora] | type[Parallel]] = {
    "defaults": Defaults,
    "limits": Limits,
    "loras": Lora,
    "parallel": Parallel,
}


def of_entry(name: str, error: ValidationError, layers: Sequence[Layer], models: Sequence[str]) -> CatalogueError:
    """The first complaint about an entry. models: the names of all, one of which may have been meant."""
    first = error.errors(include_url=False)[0]
    fields = [part for part in first["loc"] if isinstance(part, str)]
    paths = [(name, *fields)] if fields else _paths_of_words(name, first["msg"])
    place = ".".join(map(str, ("models", name, *first["loc"])))
    return CatalogueError(f"{origin(layers, *paths)}: {place}{_reason(name, first, layers, models)}")


def of_default_request(name: str, error: InvalidRequest, layers: Sequence[Layer]) -> CatalogueError:
    """An entry's own defaults do not pass the check that requests go through."""
    words = [word for word in re.findall(r"\w+", str(error)) if word in Defaults.model_fields]
    paths = [(name, "defaults", word) for word in words]
    paths += [(name, "limits", f"max_{word}") for word in words if f"max_{word}" in Limits.model_fields]
    where = origin(layers, *paths) if paths else origin(layers, (name, "defaults"))
    return CatalogueError(
        f"{where}: models.{name}.defaults: no request without settings of its own could pass: {error}"
    )


def _paths_of_words(name: str, message: str) -> list[tuple[str, ...]]:
    """The fields that a message about several names."""
    words = [word for word in re.findall(r"\w+", message) if word in ModelEntry.model_fields]
    return [(name, word) for word in words] or [(name,)]


def _reason(name: str, details: Mapping[str, Any], layers: Sequence[Layer], models: Sequence[str]) -> str:
    field = str(details["loc"][-1]) if details["loc"] else ""
    table = _TABLES.get(str(details["loc"][0])) if len(details["loc"]) > 1 else ModelEntry
    if details["type"] == "missing":
        return f" is required, and not there{_other_model(name, layers, models)}"
    if details["type"] == "extra_forbidden":
        allowed = [known for known in (table or ModelEntry).model_fields if known != "name"]
        near = get_close_matches(field, allowed, 1)
        return f" is no field; {f'did you mean {near[0]}?' if near else 'allowed: ' + ', '.join(allowed)}"
    reason = plain_reason(details["msg"])
    return f": {reason}" if not details["loc"] else f" {details['input']!r}: {reason}"


def _other_model(name: str, layers: Sequence[Layer], models: Sequence[str]) -> str:
    """A table over the catalogue that begins a model by a name that is nearly another's."""
    begun = origin(layers, (name,)) != layers[0].origin
    near = get_close_matches(name, [other for other in models if other != name], 1) if begun else []
    return f"; did you mean models.{near[0]}?" if near else ""
