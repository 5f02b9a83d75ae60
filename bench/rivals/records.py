"""What was measured, kept in one small file each, so that an interrupted sweep goes on where it was."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from bench.rivals.fidelity import Fidelity
from bench.rivals.rival import Knob
from workers.jobs.frozen import Frozen


class Row(Frozen):
    """One run of a rival against the uncached run.

    cost: multiply-adds in blocks, relative to the uncached run. reference: a digest of the uncached run's bits, by
        which all rivals are known to have had the same.
    warned: what a library warned of meanwhile.
    """

    rival: str
    setting: Knob
    prompt: str
    seed: int
    cost: float
    fidelity: Fidelity
    reference: str
    warned: tuple[str, ...] = ()


class Timing(Frozen):
    """Denoising one prompt uncached and, right after it in the same process, the rival's way; seconds."""

    rival: str
    setting: Knob
    prompt: str
    seed: int
    pair: int
    uncached: float
    accelerated: float

    @property
    def speedup(self) -> float:
        return self.uncached / self.accelerated


class Outcomes(Frozen):
    """What one rival's process found: rows of the sweep and of the headline, times.

    refused: why it serves no such model. failed: how its process ended without a result.
    """

    rival: str
    title: str
    knob: str
    rows: tuple[Row, ...] = ()
    timings: tuple[Timing, ...] = ()
    headline: tuple[Row, ...] = ()
    refused: str | None = None
    failed: str | None = None

    def save(self, path: Path) -> None:
        _write(path, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_bytes())


class Results(Frozen):
    """All that a model's page is made from. provenance: command, date, machine, versions."""

    model: str
    provenance: dict[str, str]
    outcomes: tuple[Outcomes, ...]

    def save(self, path: Path) -> None:
        _write(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_bytes())


Record = TypeVar("Record", Row, Timing)


class Records:
    """A folder of records by what they measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made = 0

    def known(self, kind: type[Record], what: object) -> Record | None:
        """The record of this, or None when it was not measured yet."""
        path = path_of(self._folder, what, "json")
        return kind.model_validate_json(path.read_bytes()) if path.exists() else None

    def get(self, kind: type[Record], what: object, measure: Callable[[], Record]) -> Record:
        """The record of this, measured now unless it was before."""
        record = self.known(kind, what)
        if record is None:
            record = measure()
            _write(path_of(self._folder, what, "json"), record.model_dump_json())
            self.made += 1
        return record


def path_of(folder: Path, what: object, ending: str) -> Path:
    """Where a folder has the file about this, which is anything that JSON can say."""
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
    return folder / f"{digest}.{ending}"


def _write(path: Path, text: str) -> None:
    """In one move, so that a file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)
