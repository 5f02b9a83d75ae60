"""The catalogue: which models there are, read once from a TOML file and checked as a whole."""

import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules

from pydantic import ValidationError

import workers.models
from workers.jobs.errors import InvalidRequest, ModelNotFound, ScalingCacheError
from workers.jobs.job import GenerationRequest
from workers.models.base import Family, ModelEntry

SEED_BITS = 32  # of a drawn seed: what a client in any language keeps exactly


class CatalogueError(ScalingCacheError):
    """The catalogue file is missing or wrong; the message says where."""

    code = "catalogue_error"


def families() -> dict[str, Family]:
    """Every family that has a file in this package, by name. Adding a file adds a family.

    All files here are imported, also by the service, so none of them may import torch when it is imported.
    """
    found: dict[str, Family] = {}
    for module in iter_modules(workers.models.__path__):
        for value in vars(import_module(f"workers.models.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Family) and not isabstract(value):
                found[value.name] = value()
    return found


@dataclass(frozen=True)
class Catalogue:
    """The validated entries, each with its family."""

    entries: Mapping[str, ModelEntry]
    families: Mapping[str, Family]

    @classmethod
    def read(cls, path: Path) -> "Catalogue":
        """Read and check a catalogue file; relative paths in it are relative to its folder. Raises `CatalogueError`."""
        known = families()
        try:
            tables = tomllib.loads(path.read_text())["models"]
            entries = {name: ModelEntry(name=name, **_absolute(table, path.parent)) for name, table in tables.items()}
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValidationError) as error:
            raise CatalogueError(f"{path}: {error}") from error
        for entry in entries.values():
            if entry.family not in known:
                raise CatalogueError(
                    f"{path}: models.{entry.name}.family {entry.family!r} must be one of {sorted(known)}"
                )
        return cls(entries, known)

    def entry(self, name: str) -> ModelEntry:
        """The entry called `name`. Raises `ModelNotFound`."""
        if name not in self.entries:
            raise ModelNotFound("model", f"model {name!r} is not served here; allowed: {', '.join(self.entries)}")
        return self.entries[name]

    def family(self, name: str) -> Family:
        """The family of the model called `name`. Raises `ModelNotFound`."""
        return self.families[self.entry(name).family]

    def check(self, request: GenerationRequest) -> None:
        """Raise `InvalidRequest` when the request's model cannot serve it."""
        entry = self.entry(request.model)
        self.family(request.model).check(request, entry.limits)
        if request.guidance_2 is not None and entry.defaults.guidance_2 is None:
            raise InvalidRequest(
                "guidance_2",
                f"guidance_2 {request.guidance_2:g}: model {request.model} has no second expert; leave it out",
            )

    def request(self, model: str, prompt: str, **given: object) -> GenerationRequest:
        """A checked request: what was given and is not None, over the model's defaults.

        Without `sf`, the model's default, as far as the number of steps allows; without `seed`, a random one.
        Raises `InvalidRequest`.
        """
        entry = self.entry(model)
        defaults = entry.defaults.model_dump(exclude={"sf", "max_sequence_length"})
        values = defaults | {name: value for name, value in given.items() if value is not None}
        values.setdefault("sf", max(2, min(entry.defaults.sf, int(values["steps"]))))
        values.setdefault("seed", secrets.randbits(SEED_BITS))
        try:
            request = GenerationRequest(model=model, prompt=prompt, **values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            raise InvalidRequest(name, f"{name} {first['input']!r}: {first['msg']}") from None
        self.check(request)
        return request


def _absolute(table: dict[str, object], base: Path) -> dict[str, object]:
    """Paths made absolute: `coefficients` always is one, `source` when it names a folder beside the catalogue."""
    resolved = dict(table)
    if isinstance(source := table.get("source"), str) and (base / source).exists():
        resolved["source"] = str((base / source).resolve())
    if isinstance(coefficients := table.get("coefficients"), str):
        resolved["coefficients"] = str((base / coefficients).resolve())
    return resolved
