"""The JSON of coefficient files, field by field: what is wrong is told by field, value and what is allowed."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from reprlib import Repr
from typing import Any

Table = Mapping[str, Any]

_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 2, 2, 3


def read_table(path: Path) -> dict[str, Any]:
    """A file's JSON object. Raises `OSError` and, in one line, `ValueError`."""
    try:
        table = json.loads(path.read_text())
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f"it is {_SHORT.repr(table)}, and must be a JSON object")
    return table


def value(table: Table, name: str) -> Any:
    """Raises `ValueError` where the field is missing, as all functions here do for one that is wrong."""
    if name not in table:
        raise ValueError(f"{name} is missing")
    return table[name]


def only(table: Table, names: Collection[str]) -> None:
    """Raise `ValueError` for a field that there is not."""
    if unknown := next((name for name in table if name not in names), None):
        raise ValueError(f"{_SHORT.repr(unknown)} is unknown; fields are {', '.join(names)}")


def number(table: Table, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in a range, whose ends are in it."""
    return _number(name, value(table, name), low, high)


def positive(table: Table, name: str) -> float:
    """A finite number above 0."""
    found = value(table, name)
    if not _is_finite(found) or found <= 0:
        raise wrong(name, found, "a finite number above 0")
    return float(found)


def whole(table: Table, name: str, low: int, high: int | None = None) -> int:
    """A whole number in a range, whose ends are in it; high: None for no end."""
    found = value(table, name)
    if type(found) is not int or found < low or (high is not None and found > high):
        raise wrong(name, found, f"a whole number {f'of {low} or more' if high is None else f'from {low} to {high}'}")
    return found


def text(table: Table, name: str) -> str:
    """A text."""
    found = value(table, name)
    if not isinstance(found, str):
        raise wrong(name, found, "text")
    return found


def truth(table: Table, name: str) -> bool:
    """True or false."""
    found = value(table, name)
    if not isinstance(found, bool):
        raise wrong(name, found, "true or false")
    return found


def listed(table: Table, name: str) -> list[Any]:
    """A list of whatever."""
    found = value(table, name)
    if not isinstance(found, list):
        raise wrong(name, found, "a list")
    return found


def nested(table: Table, name: str) -> dict[str, Any]:
    """An object's fields, each named after it as well: `kind.model`."""
    found = value(table, name)
    if not isinstance(found, dict):
        raise wrong(name, found, "a JSON object")
    return {f"{name}.{key}": each for key, each in found.items()}


def texts(table: Table, name: str) -> dict[str, str]:
    """An object of texts, by their names."""
    found = nested(table, name)
    return {key.removeprefix(f"{name}."): text(found, key) for key in found}


def numbers(table: Table, name: str, low: float = -math.inf, high: float = math.inf) -> dict[str, float]:
    """An object of finite numbers in a range, by their names."""
    found = nested(table, name)
    return {key.removeprefix(f"{name}."): number(found, key, low, high) for key in found}


def by_count(table: Table, name: str, least: int, low: float = -math.inf, high: float = math.inf) -> dict[int, float]:
    """An object of finite numbers in a range, by whole numbers of `least` or more."""
    found = numbers(table, name, low, high)
    for key in found:
        if not (key.isdecimal() and len(key) < 10 and int(key) >= least):
            raise wrong(f"{name}: the name", key, f"a whole number of {least} or more")
    return {int(key): each for key, each in found.items()}


def vector(table: Table, name: str, low: float = -math.inf, high: float = math.inf) -> list[float]:
    """A list of finite numbers in a range."""
    return [_number(f"{name} at {i}:", each, low, high) for i, each in enumerate(listed(table, name))]


def rows(
    table: Table, name: str, shape: tuple[int | None, int], low: float = -math.inf, high: float = math.inf
) -> list[list[float]]:
    """A table of finite numbers in a range. shape: of rows, None for any number of them, and columns."""
    found, (count, width) = listed(table, name), shape
    if count is not None and len(found) != count:
        raise ValueError(f"{name} has {len(found)} rows, and must have {count}")
    for i, row in enumerate(found):
        if not isinstance(row, list) or len(row) != width:
            raise wrong(f"{name}: row {i},", row, f"a list of {width} numbers")
    return [
        [_number(f"{name} at row {i}, column {j}:", each, low, high) for j, each in enumerate(row)]
        for i, row in enumerate(found)
    ]


def wrong(name: str, found: Any, allowed: str) -> ValueError:
    """What is raised for a value."""
    return ValueError(f"{name} {_SHORT.repr(found)} must be {allowed}")


def _number(name: str, found: Any, low: float, high: float) -> float:
    if not _is_finite(found) or not low <= found <= high:
        open_ended = math.inf in (-low, high)
        raise wrong(name, found, "a finite number" if open_ended else f"a number from {low:g} to {high:g}")
    return float(found)


def _is_finite(found: Any) -> bool:
    """Whether it is a finite number; true and false are none."""
    try:
        return type(found) in (int, float) and math.isfinite(found)
    except OverflowError:  # a whole number that no float can be
        return False
