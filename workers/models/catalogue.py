"""The catalogue: which models there are, read once from a TOML file and checked as a whole."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

import workers.models.families
from workers.jobs.errors import InvalidRequest, ModelNotFound, plain_reason
from workers.jobs.job import SEEDS, GenerationRequest, uncached_sf
from workers.models import complaints
from workers.models.basis import readable
from workers.models.entry import ModelEntry, Parallel
from workers.models.evaluation import Evaluation
from workers.models.family import Family
from workers.models.layers import CatalogueError, Layer, from_environment, from_file, merged, origin
from workers.models.shown import shown
from workers.scalingcache.paper.step_range import step_range


def families() -> dict[str, Family]:
    """Every family that has a file in `workers/models/families`, by name. Adding a file adds a family.

    All of them are imported, also by the service, so none may import torch when it is imported.
    """
    by_name: dict[str, Family] = {}
    for module in iter_modules(workers.models.families.__path__):
        for value in vars(import_module(f"workers.models.families.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Family) and not isabstract(value):
                by_name[value.name] = value()
    return by_name


@dataclass(frozen=True)
class Catalogue:
    """The validated entries, each with its family. layers: where their values came from, the lowest first."""

    entries: Mapping[str, ModelEntry]
    families: Mapping[str, Family]
    layers: Sequence[Layer] = ()

    @classmethod
    def read(
        cls, path: Path, overrides: Path | None = None, environment: Mapping[str, str | None] = MappingProxyType({})
    ) -> "Catalogue":
        """Read and check a catalogue file, with what goes over it: another file of the same form, then variables.

        Relative paths in a file are relative to its folder, in variables to the current one. Each entry's defaults
        pass the check of requests. Raises `CatalogueError`.
        """
        layers = [from_file(path, "SCALINGCACHE_CATALOGUE or --catalogue")]
        if overrides is not None:
            layers.append(from_file(overrides, "SCALINGCACHE_CATALOGUE_OVERRIDES"))
        tables = _merged(layers)
        layers += from_environment(tables, environment)
        tables, by_name = _merged(layers), families()
        entries = {name: _entry(name, table, layers, list(tables)) for name, table in tables.items()}
        catalogue = cls(entries, by_name, layers)
        for name in entries:
            catalogue._check_entry(name)
        return catalogue

    def serving(self, names: Sequence[str]) -> "Catalogue":
        """The named entries alone, or without names those that are `served`.

        Raises `ModelNotFound` for a name that is none, `CatalogueError` when nothing is left.
        """
        chosen = {name: self.entry(name) for name in names} or {
            name: entry for name, entry in self.entries.items() if entry.served
        }
        if not chosen:
            raise CatalogueError("no model is served: set SCALINGCACHE_MODELS, or served = true in the catalogue")
        return replace(self, entries=chosen)

    def entry(self, name: str) -> ModelEntry:
        """The entry called `name`. Raises `ModelNotFound`."""
        if name not in self.entries:
            raise ModelNotFound("model", f"model {name!r} is not served here; allowed: {', '.join(self.entries)}")
        return self.entries[name]

    def family(self, name: str) -> Family:
        """The family of the model called `name`. Raises `ModelNotFound`."""
        return self.families[self.entry(name).family]

    def changed(self, name: str, **changes: object) -> "Catalogue":
        """A catalogue whose entry `name` has other values, but for those that are None. Raises `ModelNotFound`."""
        changed = {field: value for field, value in changes.items() if value is not None}
        if "source" in changed:
            changed |= {"revision": None, "variant": None}
        return replace(self, entries={**self.entries, name: self.entry(name).model_copy(update=changed)})

    def shown(self) -> str:
        """Every value of every entry, as `workers.models.shown` writes it."""
        return shown(self.entries, self.layers)

    def evaluation(self, name: str) -> Evaluation | None:
        """What the model's evaluation found, or None without one. Raises `ModelNotFound`, `EvaluationError`."""
        path = self.entry(name).evaluation
        try:
            return None if path is None else Evaluation.load(Path(path))
        except FileNotFoundError:
            return None

    def check(self, request: GenerationRequest) -> None:
        """Raise `InvalidRequest` when the request's model cannot serve it."""
        entry, family = self.entry(request.model), self.family(request.model)
        family.check(request, entry.limits)
        if entry.parallel is not None and (unfit := _indivisible(family.tokens(request), entry.parallel)) is not None:
            raise InvalidRequest("size", f"size {request.width}x{request.height}, {request.frames} frames: {unfit}")
        if request.guidance_2 is not None and entry.defaults.guidance_2 is None:
            raise InvalidRequest(
                "guidance_2",
                f"guidance_2 {request.guidance_2:g}: model {request.model} has no second expert; leave it out",
            )

    def request(self, model: str, prompt: str, **wanted: object) -> GenerationRequest:
        """A checked request: what is wanted and is not None, over the model's defaults.

        Without `sf`, the model's default, as far as the number of steps allows; without `seed`, a random one.
        Raises `InvalidRequest`, also when an `sf` is given for steps that no coefficients of the model hold for.
        """
        entry = self.entry(model)
        defaults = entry.defaults.model_dump(exclude={"sf", "max_sequence_length"})
        values = defaults | {name: value for name, value in wanted.items() if value is not None}
        values.setdefault("sf", min(entry.defaults.sf, uncached_sf(int(values["steps"]))))
        values.setdefault("seed", secrets.randbelow(SEEDS))
        try:
            request = GenerationRequest(model=model, prompt=prompt, **values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = str(first["loc"][0])
            raise InvalidRequest(name, f"{name} {first['input']!r}: {plain_reason(first['msg'])}") from None
        self.check(request)
        if wanted.get("sf") is not None:
            self._check_steps(request)
        return request

    def _check_entry(self, name: str) -> None:
        """Raise `CatalogueError` unless the family exists and a request that says nothing would be taken."""
        entry = self.entry(name)
        if entry.family not in self.families:
            allowed = ", ".join(sorted(self.families))
            where = origin(self.layers, (name, "family"))
            raise CatalogueError(f"{where}: models.{name}.family {entry.family!r} must be one of: {allowed}")
        if entry.parallel is not None:
            self._check_parallel(entry, entry.parallel)
        reference = "0" * 64 if self.families[entry.family].input_reference == "required" else None
        try:
            if entry.defaults.sf > (most := uncached_sf(entry.defaults.steps)):
                raise InvalidRequest("sf", f"sf {entry.defaults.sf} must be between 2 and steps, which is {most}")
            self.request(name, "a prompt", input_reference=reference)
        except InvalidRequest as error:
            raise complaints.of_default_request(name, error, self.layers) from error

    def _check_parallel(self, entry: ModelEntry, parallel: Parallel) -> None:
        """Raise `CatalogueError` where more GPUs would do nothing, or could not."""
        family, where = self.families[entry.family], origin(self.layers, (entry.name, "parallel"))
        text = entry.defaults.max_sequence_length
        guided = entry.defaults.true_cfg_scale if family.embedded_guidance else entry.defaults.guidance
        unfit = None
        if parallel.cfg == 2 and guided <= 1:
            name = "true_cfg_scale" if family.embedded_guidance else "guidance"
            unfit = f"cfg 2: its requests have one stream, as defaults.{name} is {guided:g}; leave cfg out"
        elif family.splits_text and text % parallel.shards:
            unfit = f"defaults.max_sequence_length {text} must be a multiple of {parallel.shards}, ulysses times ring"
        if unfit is not None:
            raise CatalogueError(f"{where}: models.{entry.name}.parallel: {unfit}")

    def _check_steps(self, request: GenerationRequest) -> None:
        paper = self.entry(request.model).method == "paper"
        if not paper or not request.has_room_for_predictions or request.allow_uncalibrated:
            return  # It runs uncached, or as it comes.
        ranges = [step_range(steps) for steps in _measured_steps(self.entry(request.model), request)]
        if ranges and not any(request.steps in allowed for allowed in ranges):
            allowed_steps = " or ".join(f"{allowed[0]} to {allowed[-1]}" for allowed in ranges)
            raise InvalidRequest(
                "steps",
                f"steps {request.steps}: {request.model} is accelerated with {allowed_steps} steps; "
                f"without acceleration give sf {request.steps}, without fitting coefficients allow_uncalibrated",
            )


def _measured_steps(entry: ModelEntry, request: GenerationRequest) -> list[int]:
    """Of those of the entry's coefficient files that are for such requests, with an image or without.

    Files that cannot be read are left out: loading the model says why.
    """
    from_image = request.input_reference is not None
    return sorted({each.steps for each in readable(entry.coefficients, "paper") if each.input_reference == from_image})


def _indivisible(tokens: int, parallel: Parallel) -> str | None:
    if tokens % parallel.shards == 0:
        return None
    return f"its {tokens} tokens must be a multiple of {parallel.shards}, as so many GPUs share them; try another size"


def _merged(layers: Sequence[Layer]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for layer in layers:
        tables = merged(tables, layer.tables)
    return tables


def _entry(name: str, table: Mapping[str, Any], layers: Sequence[Layer], models: Sequence[str]) -> ModelEntry:
    if "name" in table:
        raise CatalogueError(
            f"{origin(layers, (name, 'name'))}: models.{name}.name: the table's name is the model's; leave it out"
        )
    try:
        return ModelEntry(name=name, **table)
    except ValidationError as error:
        raise complaints.of_entry(name, error, layers, models) from error
