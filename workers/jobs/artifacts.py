"""Result files: published whole or not at all, each attempt in a folder of its own.

A file lies at `<root>/<tenant>/<job>/<attempt token>/<file>`, and what the job came with in a folder beside.
Publication makes it durable, and only `JobQueue.complete` makes it the job's result. So an attempt that lost its job
can leave a file behind, but never one that a client sees.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.jobs.errors import JobNotFound, StorageFull
from workers.jobs.job import Artifact

#: The folder of what a job came with, beside those of its attempts.
INPUT = "input"
_REFERENCE = "reference.png"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,254}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ArtifactStore:
    """Artifacts under one folder, which service and workers share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(
        self,
        tenant: str,
        job_id: str,
        attempt_token: str,
        filename: str,
        write: Callable[[Path], None],
        media_type: str,
    ) -> Artifact:
        """Let `write` make the file, and publish it under its final name once it is safe on disk.

        `write` gets a path that ends in `.tmp`. Raises `StorageFull`, and whatever `write` raises; nothing of the
        file stays behind then.
        """
        folder = self._attempt_folder(tenant, job_id, attempt_token)
        final = folder / _checked(filename)
        partial = final.with_name(final.name + ".tmp")
        with _no_partial_file(partial):
            folder.mkdir(parents=True, exist_ok=True)
            write(partial)
            digest, size = _sync_and_hash(partial)
            partial.rename(final)
            for made in (folder, folder.parent, folder.parent.parent):
                _sync_folder(made)
        relative = final.relative_to(self._root).as_posix()
        return Artifact(path=relative, media_type=media_type, size_bytes=size, sha256=digest)

    def keep_reference(self, tenant: str, job_id: str, content: bytes) -> None:
        """Keep the image that a job starts from until the job's files are deleted. Raises `StorageFull`.

        Arrivals of the same request may do this at the same time, with the same content.
        """
        folder = self._attempt_folder(tenant, job_id, INPUT)
        partial = folder / f"{secrets.token_hex(8)}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            _sync_and_hash(partial)
            partial.rename(folder / _REFERENCE)
        except OSError as error:
            partial.unlink(missing_ok=True)
            if error.errno in _FULL:
                raise StorageFull("there is no space left for the image") from error
            raise
        for made in (folder, folder.parent, folder.parent.parent):
            _sync_folder(made)

    def reference(self, tenant: str, job_id: str) -> Path:
        """Where the image lies that a job starts from; it may be gone."""
        return self._attempt_folder(tenant, job_id, INPUT) / _REFERENCE

    def path(self, artifact: Artifact) -> Path:
        """Where the file lies; it may be gone. Raises `JobNotFound` for a path that leads out of the store."""
        root = self._root.resolve()
        path = (root / artifact.path).resolve()
        if not path.is_relative_to(root):
            raise JobNotFound("the artifact's path leads out of the store")
        return path

    def delete(self, tenant: str, job_id: str) -> None:
        """Delete every file of a job, if there are any."""
        folder = self._root / _checked(tenant) / _checked(job_id)
        shutil.rmtree(folder, ignore_errors=True)

    def discard(self, tenant: str, job_id: str, attempt_token: str) -> None:
        """Delete the files of one attempt that will never be a result."""
        folder = self._attempt_folder(tenant, job_id, attempt_token)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()  # Only when this was its last attempt.

    def sweep(self, referenced: Callable[[str, str], bool], older_than_seconds: float) -> int:
        """Delete attempt folders that no live record points to, such as those of killed workers; returns how many.

        `referenced(job id, attempt token)` is asked for folders that did not change for `older_than_seconds`. That
        should be longer than a lease, because a folder is there before its attempt's job is completed.
        """
        before = time.time() - older_than_seconds
        swept = 0
        for folder in self._root.glob("*/*/*"):
            with suppress(FileNotFoundError):  # Deleted by another worker's sweep, or with its job.
                if folder.stat().st_mtime < before and not referenced(folder.parent.name, folder.name):
                    self.discard(folder.parent.parent.name, folder.parent.name, folder.name)
                    swept += 1
        return swept

    def _attempt_folder(self, tenant: str, job_id: str, attempt_token: str) -> Path:
        return self._root / _checked(tenant) / _checked(job_id) / _checked(attempt_token)


def _checked(name: str) -> str:
    """A name that stays one level below its folder. Raises `ValueError`: names are made by us, not by clients."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a file name")
    return name


@contextmanager
def _no_partial_file(partial: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        shutil.rmtree(partial.parent, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StorageFull("there is no space left for the result") from error
        raise


def _sync_and_hash(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and size in bytes of a file that is on the disk when this returns."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return digest, file.tell()


def _sync_folder(folder: Path) -> None:
    """Without this a rename may be lost in a power cut although the file's content is safe."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
