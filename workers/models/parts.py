"""What a checkpoint's folder holds, as its index and configurations say it: read in milliseconds, torch-free."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workers.jobs.errors import ModelLoadFailed

INDEX = "model_index.json"
Kind = Literal["weights", "tokenizer", "scheduler", "processor"]
#: The file of settings that a part of each kind has.
SETTINGS: Mapping[Kind, str] = {
    "weights": "config.json",
    "tokenizer": "tokenizer_config.json",
    "scheduler": "scheduler_config.json",
    "processor": "preprocessor_config.json",
}
_KINDS: Mapping[str, Kind] = {
    "tokenizer": "tokenizer",
    "scheduler": "scheduler",
    "image_processor": "processor",
    "feature_extractor": "processor",
}


@dataclass(frozen=True)
class Part:
    """One part of a pipeline: its name in the index, where its class comes from, its folder and its settings."""

    name: str
    library: str
    class_name: str
    folder: Path
    config: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """What sort of files it has."""
        return _kind(self.name)


@dataclass(frozen=True)
class Checkpoint:
    """A folder in the diffusers format.

    class_name: of the pipeline that saved it; config: the pipeline's own settings, as `boundary_ratio`.
    parts: by name, without those that are null.
    """

    folder: Path
    class_name: str
    config: Mapping[str, Any]
    parts: Mapping[str, Part]

    @classmethod
    def read(cls, folder: Path) -> "Checkpoint":
        """Read the index and the settings of its parts. Raises `ModelLoadFailed`, which names the file."""
        index = read_table(folder / INDEX, folder)
        class_name = index.get("_class_name")
        if not isinstance(class_name, str):
            raise ModelLoadFailed(f"{INDEX}: _class_name {class_name!r} must name a pipeline of diffusers")
        places = {name: value for name, value in index.items() if isinstance(value, list) and len(value) == 2}
        parts = {
            name: _part(folder, name, str(library), str(part_class))
            for name, (library, part_class) in places.items()
            if part_class is not None
        }
        config = {name: value for name, value in index.items() if name not in places and not name.startswith("_")}
        return cls(folder, class_name, config, parts)

    def setting(self, part: str, name: str, default: Any = None) -> Any:
        """A value of a part's configuration; the default where part or value is missing."""
        return self.parts[part].config.get(name, default) if part in self.parts else default


def read_table(path: Path, root: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises `ModelLoadFailed`, which names the file within the checkpoint."""
    name = path.relative_to(root)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelLoadFailed(
            f"{name} is missing: the checkpoint is incomplete, or not in the diffusers format"
        ) from None
    except OSError as error:
        raise ModelLoadFailed(f"{name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelLoadFailed(f"{name} is cut off or damaged: {error}") from error
    if not isinstance(table, dict):
        raise ModelLoadFailed(f"{name} must hold a JSON object, not a {type(table).__name__}")
    return table


def _part(folder: Path, name: str, library: str, class_name: str) -> Part:
    place = folder / name
    if not place.is_dir():
        raise ModelLoadFailed(f"{INDEX} names {name}, a {class_name}, but the folder {name} is missing")
    return Part(name, library, class_name, place, read_table(place / SETTINGS[_kind(name)], folder))


def _kind(name: str) -> Kind:
    return _KINDS.get(name.removesuffix("_2").removesuffix("_3"), "weights")
