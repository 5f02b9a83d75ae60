"""Brings the files of a repository onto this machine, and holds each against what the hub says it contains."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from workers.models.hub.errors import HubError, explained
from workers.models.hub.repository import RemoteFile, Repository

#: What must stay free on the disk.
_RESERVE = 1 << 28
_TRIES = 2


def cached(repository: Repository, file: RemoteFile) -> Path | None:
    """Where the file lies on this machine, None while it does not. It may still be another than the hub's."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository.name, file.path, revision=repository.commit)
    return Path(found) if isinstance(found, str) else None


def check_room(repository: Repository, files: Sequence[RemoteFile]) -> None:
    """Raise `HubError` when what is not here yet would not fit onto the disk."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    needed = sum(file.size_bytes for file in files if cached(repository, file) is None)
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE > free and needed:
        raise HubError(
            f"{repository.name} needs {gigabytes(needed)} more in {folder}, where {gigabytes(free)} are free; "
            "make room, or set HF_HOME to a folder on another disk"
        )


def download(repository: Repository, files: Sequence[RemoteFile], progress: Callable[[int], None]) -> list[Path]:
    """Bring every file here, or find it here, and check it. progress: told how many bytes of all are there.

    A file with another content than the hub names is deleted and fetched once more. Raises `HubError`.
    """
    paths, before = [], 0
    for file in files:
        paths.append(_checked(repository, file, partial(_report, progress, before)))
        before += file.size_bytes
        progress(before)
    return paths


def _report(progress: Callable[[int], None], before: int, arrived: int) -> None:
    progress(before + arrived)


def _checked(repository: Repository, file: RemoteFile, progress: Callable[[int], None]) -> Path:
    for _ in range(_TRIES):
        path = _fetched(repository, file, progress)
        if file.matches(path):
            return path
        path.resolve().unlink()
        path.unlink(missing_ok=True)
    raise HubError(
        f"{repository.name} at {repository.commit}: {file.path} arrived {_TRIES} times with another content than the "
        f"hub names ({file.sha256 or file.blob}); it was deleted, the rest is kept: try again later"
    )


def _fetched(repository: Repository, file: RemoteFile, progress: Callable[[int], None]) -> Path:
    from huggingface_hub import hf_hub_download
    from tqdm.auto import tqdm

    class Counting(tqdm):  # type: ignore[misc]
        """Shows nothing, tells the bytes on."""

        def __init__(self, *args: Any, **options: Any) -> None:
            self.arrived = int(options.get("initial") or 0)
            options.pop("name", None)  # The hub's own: which of its bars this is.
            super().__init__(*args, **options | {"disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.arrived += int(n or 0)
            progress(self.arrived)
            return None

    with explained(repository.name, repository.commit):
        return Path(hf_hub_download(repository.name, file.path, revision=repository.commit, tqdm_class=Counting))


def gigabytes(size_bytes: int) -> str:
    """A size as people say it: `28.4 GB`, `3.1 MB`, `12 KB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"
