"""Where the catalogue's values come from: a file, another file over it, variables of the environment over both."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from workers.jobs.errors import ScalingCacheError
from workers.models.entry import ModelEntry

PREFIX = "SCALINGCACHE_MODELS__"
_BETWEEN = "__"


class CatalogueError(ScalingCacheError):
    """The catalogue, or what goes over it, is missing or wrong; the message says where."""

    code = "catalogue_error"


@dataclass(frozen=True)
class Layer:
    """The models' tables of one origin: a file, or a variable."""

    origin: str
    tables: Mapping[str, Any]

    def has(self, path: Sequence[str]) -> bool:
        """Whether a value, also an empty one, stands at the path, or a list that has it: model, field, field in it."""
        table: Any = self.tables
        for name in path:
            if isinstance(table, list):
                return True
            if not isinstance(table, Mapping) or name not in table:
                return False
            table = table[name]
        return True


def origin(layers: Sequence[Layer], *paths: Sequence[str]) -> str:
    """What gives, or took away, the value at the first of the paths that has one: of several the topmost. For a value
    that nothing gives, the file in which its model begins."""
    for layer in reversed(layers):
        if any(layer.has(path) for path in paths):
            return layer.origin
    return next(layer.origin for layer in layers if layer.has(paths[0][:1]))


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


def from_file(path: Path, named_by: str) -> Layer:
    """The tables of a file, paths in them made absolute. named_by: the setting that names the file, for the message.

    Raises `CatalogueError`.
    """
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise CatalogueError(f"{path}: {error.strerror}{where}; {named_by} names this file") from error
    except ValueError as error:  # Also what is no UTF-8.
        raise CatalogueError(f"{path}: {error}") from error
    if others := [name for name in content if name != "models"]:
        raise CatalogueError(f"{path}: nothing reads {', '.join(others)}: every table is a [models.<name>]")
    tables = content.get("models")
    if not isinstance(tables, dict):
        raise CatalogueError(f"{path}: has no table [models.<name>]")
    for name, table in tables.items():
        _check_table(path, name, table)
    return Layer(str(path), {name: _absolute(table, path.parent) for name, table in tables.items()})


def _check_table(path: Path, name: str, table: object) -> None:
    """A name with dots and without quotes is a table in a table for TOML."""
    if not isinstance(table, dict):
        raise CatalogueError(f"{path}: models.{name} = {table!r} must be a table: [models.{name}]")
    full, inner = name, table
    while inner and not inner.keys() & ModelEntry.model_fields.keys():
        part, below = next(iter(inner.items()))
        if not isinstance(below, dict) or get_close_matches(part, ModelEntry.model_fields, 1):
            break
        full, inner = f"{full}.{part}", below
    if full != name:
        raise CatalogueError(
            f"{path}: [models.{full}] is a table in a table for TOML, since the name has a dot; "
            f'put the name in quotes: [models."{full}"]'
        )


def from_environment(models: Mapping[str, Any], environment: Mapping[str, str | None]) -> list[Layer]:
    """What variables give: `SCALINGCACHE_MODELS__WAN_TINY__DEFAULTS__SF=8` for one of the `models`. Whole tables first.

    An empty one takes a value away. Raises `CatalogueError` for one that names no model, or several.
    """
    names: dict[str, list[str]] = {}
    for name in models:
        names.setdefault(variable_part(name), []).append(name)
    return [
        _from_variable(variable, text, names)
        for variable, text in sorted(environment.items(), key=lambda item: item[0].count(_BETWEEN))
        if variable.startswith(PREFIX) and text is not None
    ]


def _from_variable(variable: str, text: str, names: Mapping[str, list[str]]) -> Layer:
    model, *path = variable.removeprefix(PREFIX).split(_BETWEEN)
    if model not in names or not path:
        close = get_close_matches(model, names, 1)
        variables = ", ".join(f"{PREFIX}{name}{_BETWEEN}…" for name in close or names)
        meant = f"did you mean {variables}?" if close else f"allowed: {variables}"
        raise CatalogueError(f"{variable} is no field of a model; {meant}")
    if len(names[model]) > 1:
        raise CatalogueError(f"{variable} could mean any of {', '.join(names[model])}; set it in a file instead")
    value = value_of(text)
    for field in reversed(path):
        value = {field.lower(): value}
    return Layer(variable, {names[model][0]: _absolute(value, Path())})


def variable_part(model: str) -> str:
    """A model's name as it stands in a variable: `wan2.1-t2v` is `WAN2_1_T2V`."""
    return re.sub(r"[^A-Z0-9]", "_", model.upper())


def variable(*path: str) -> str:
    """The variable that gives the value at a path: model, field, field in it."""
    model, *fields = path
    return PREFIX + _BETWEEN.join([variable_part(model), *(field.upper() for field in fields)])


def value_of(text: str) -> Any:
    """A number, a boolean, a list or a quoted text as TOML writes it; anything else is text as it stands."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _absolute(table: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Paths made absolute: those of result files always, a `source` when it names something beside the file."""
    resolved = dict(table)
    if (source := table.get("source")) and isinstance(source, str) and (base / source).exists():
        resolved["source"] = str((base / source).resolve())
    for name in ("coefficients", "evaluation", "preview_decoder"):
        if (path := table.get(name)) and isinstance(path, str):
            resolved[name] = str((base / path).resolve())
        elif isinstance(path, list):
            resolved[name] = [str((base / each).resolve()) if isinstance(each, str) else each for each in path]
    if isinstance(loras := table.get("loras"), list):
        resolved["loras"] = [_absolute(lora, base) for lora in loras]
    return resolved
