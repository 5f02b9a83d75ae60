"""Which steps were finished, and whether what they made still lies where they left it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from bench.measured.steps import Step
from workers.files import replacing


class Record:
    """A file for each finished step: the digest of what went in, and of each file that came out."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder, self._root = folder, root

    def keeps(self, step: Step) -> bool:
        """Whether the step was finished with the inputs that are there now, and its outputs are those it made.

        Raises `FileNotFoundError` where an input is missing.
        """
        path = self._path(step)
        return path.exists() and json.loads(path.read_text()) == self._state(step)

    def finish(self, step: Step) -> None:
        """Remember a step. Raises `FileNotFoundError` where one of its outputs is missing."""
        state = self._state(step)
        if missing := [name for name, digest in state["outputs"].items() if digest is None]:
            raise FileNotFoundError(f"{step.name}: its command ended well and did not write {', '.join(missing)}")
        with replacing(self._path(step)) as partial:
            partial.write_text(json.dumps(state, indent=1))

    def _state(self, step: Step) -> dict[str, Any]:
        return {
            "step": step.name,
            "inputs": step.digest(self._root),
            "outputs": {str(path): self._content(path) for path in step.outputs},
        }

    def _content(self, path: Path) -> str | None:
        file = self._root / path
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    def _path(self, step: Step) -> Path:
        return self._folder / f"{hashlib.sha256(step.name.encode()).hexdigest()[:16]}.json"
