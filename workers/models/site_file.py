"""Writes an entry into a catalogue file, without touching the rest of it: comments, order and spaces stay."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.files import replacing
from workers.models.entry import ModelEntry
from workers.models.layers import CatalogueError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def has_entry(path: Path, name: str) -> bool:
    """Whether a file has a table for the model. Raises `CatalogueError` for a file that cannot be read."""
    return path.exists() and name in _document(path).get("models", {})


def write_entry(path: Path, entry: ModelEntry, comment: str, check: Callable[[Path], None]) -> None:
    """Add an entry to a file, which is made where it is not there; an entry of the same name is replaced.

    comment: a line above it. check: raises `CatalogueError` for a file that may not take the place of this one; it is
    given one in the same folder, since paths are relative to it. Only values that were given are written. Raises
    `CatalogueError`, and the file is then as it was.
    """
    import tomlkit  # For this command alone.

    document = _document(path) if path.exists() else tomlkit.document()
    if "models" not in document:
        document["models"] = tomlkit.table(is_super_table=True)
    models: Any = document["models"]
    models.pop(entry.name, None)
    models[entry.name] = _table(entry, comment)
    with replacing(path) as partial:
        partial.write_text(tomlkit.dumps(document))
        try:
            check(partial)
        except CatalogueError as error:
            raise CatalogueError(str(error).replace(str(partial), str(path))) from error


def _table(entry: ModelEntry, comment: str) -> Any:
    import tomlkit

    table = tomlkit.table()
    table.add(tomlkit.comment(comment))
    values = entry.model_dump(mode="json", exclude_unset=True, exclude={"name"})
    nested = {field: values.pop(field) for field in ("defaults", "limits")}
    for field, value in values.items():
        table.add(field, value[0] if field == "coefficients" and len(value) == 1 else value)
    for field, inner in nested.items():
        part = tomlkit.table()
        for name, value in inner.items():
            part.add(name, value)
        part.add(tomlkit.nl())
        table.add(field, part)
    return table


def _document(path: Path) -> "TOMLDocument":
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(path.read_text())
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from error
    except (TOMLKitError, ValueError) as error:
        raise CatalogueError(f"{path}: {error}") from error
