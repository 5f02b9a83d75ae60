"""Result files: published whole or not at all, each attempt in a folder of its own.

A file lies at `<root>/<tenant>/<job>/<attempt token>/<file>`, and what the job came with in a folder beside.
Publication makes it durable, and only `Leases.complete` makes it the job's result. So an attempt that lost its job
can leave a file behind, but never one that a client sees.
"""

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from workers.files import replacing
from workers.jobs import removal
from workers.jobs.artifact import Artifact, Preview, StoredFile
from workers.jobs.errors import JobNotFound, StorageFailed, StorageFull, StorageUnavailable
from workers.jobs.job import AttemptKey, JobKey, model_of
from workers.jobs.store import StoreUnreachable

#: The file in the store that carries the id of its installation.
MARKER = ".scalingcache-store"
REFERENCE = "reference.png"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ArtifactStore:
    """Artifacts under one folder, which service and workers share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(
        self,
        attempt: AttemptKey,
        filename: str,
        write: Callable[[Path], None],
        media_type: str,
        previews: Mapping[Preview, bytes] | None = None,
    ) -> Artifact:
        """As `Store.publish`."""
        folder = self._attempt_folder(attempt)
        with storage_errors("result"):
            try:
                result = self._published(folder, filename, write, media_type)
                beside = {
                    name: self._published(folder, f"{name}.webp", partial(_write, content), "image/webp")
                    for name, content in (previews or {}).items()
                }
                _sync_folders(folder)
            except BaseException:
                removal.remove_attempt(self._root, attempt)
                raise
        return Artifact(**result.model_dump(), previews=beside)

    def _published(self, folder: Path, filename: str, write: Callable[[Path], None], media_type: str) -> StoredFile:
        final = folder / stored_name(filename)
        with replacing(final) as unfinished:
            write(unfinished)
            digest, size = _sync_and_hash(unfinished)
        path = final.relative_to(self._root).as_posix()
        return StoredFile(path=path, media_type=media_type, size_bytes=size, sha256=digest)

    def keep_reference(self, job: JobKey, content: bytes) -> None:
        """As `Store.keep_reference`."""
        path = self.reference(job)
        with storage_errors("image"):
            with replacing(path) as partial:
                partial.write_bytes(content)
                _sync_and_hash(partial)
            _sync_folders(path.parent)

    def reference(self, job: JobKey) -> Path:
        """Where the image lies that a job starts from; it may be gone."""
        return self._attempt_folder(AttemptKey(job.tenant, job.job_id, removal.INPUT)) / REFERENCE

    def read_reference(self, job: JobKey) -> bytes:
        """As `Store.read_reference`."""
        return self.reference(job).read_bytes()

    def open(self, stored: StoredFile) -> BinaryIO:
        """As `Store.open`."""
        file = self.path(stored).open("rb")
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != stored.size_bytes:
            file.close()
            raise FileNotFoundError
        return file

    def holds(self, stored: StoredFile) -> bool:
        """As `Store.holds`."""
        try:
            self.open(stored).close()
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def at_hand(self, stored: StoredFile) -> Iterator[Path]:
        """As `Store.at_hand`."""
        path = self.path(stored)
        if not path.exists():
            raise FileNotFoundError
        yield path

    def path(self, stored: StoredFile) -> Path:
        """Where the file lies; it may be gone. Raises `JobNotFound` for a path that leads out of the store."""
        root = self._root.resolve()
        path = (root / stored.path).resolve()
        if not path.is_relative_to(root):
            raise JobNotFound("the artifact's path leads out of the store")
        return path

    def delete(self, job: JobKey) -> None:
        """Delete every file of a job, if there are any."""
        attempt_path(AttemptKey(job.tenant, job.job_id, removal.INPUT))  # Refuses other names.
        removal.remove_job(self._root, job.tenant, job.job_id)

    def discard(self, attempt: AttemptKey) -> None:
        """Delete the files of one attempt that will never be a result."""
        self._attempt_folder(attempt)
        removal.remove_attempt(self._root, attempt)

    def sweep(self, is_referenced: Callable[[AttemptKey], bool], older_than_seconds: float) -> Iterator[bool]:
        """Delete attempt folders that no live record points to, such as those of killed workers.

        Gives for each attempt in the store whether it was deleted, so that a caller can stop and go on. `is_referenced`
        is asked of folders that did not change for `older_than_seconds`. That should be longer than a lease, because a
        folder is there before its attempt's job is completed.
        """
        before = self.probe() - older_than_seconds
        for attempt in removal.attempts(self._root):
            try:
                old = self._attempt_folder(attempt).lstat().st_mtime < before
            except FileNotFoundError:  # Deleted by another worker's sweep, or with its job.
                continue
            yield old and not is_referenced(attempt) and removal.remove_attempt(self._root, attempt)

    def probe(self) -> float:
        """Write a file and delete it, to see that results can be stored; gives the Unix time by the clock that dates
        the store's files. Raises `OSError`."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._root) as file:
            file.write(b"probe")
            file.flush()
            return os.fstat(file.fileno()).st_mtime

    def free_and_total_bytes(self) -> tuple[int, int]:
        """Of the file system that the results lie on."""
        root = self._root.absolute()
        there = next(folder for folder in (root, *root.parents) if folder.exists())  # The first result makes the root.
        usage = shutil.disk_usage(there)
        return usage.free, usage.total

    def mark(self) -> str | None:
        """As `Store.mark`."""
        try:
            return (self._root / MARKER).read_text(errors="replace").strip()
        except FileNotFoundError:
            return None

    def set_mark(self, id: str) -> None:
        """As `Store.set_mark`."""
        with replacing(self._root / MARKER) as unfinished:
            unfinished.write_text(f"{id}\n")

    def has_results(self) -> bool:
        """As `Store.has_results`."""
        return any(removal.attempts(self._root))

    def _attempt_folder(self, attempt: AttemptKey) -> Path:
        return self._root / attempt_path(attempt)


def attempt_path(attempt: AttemptKey) -> str:
    """Where an attempt's files lie, relative to the store's root. Raises `ValueError`."""
    tenant = _checked(attempt.tenant, removal.TENANT.fullmatch(attempt.tenant))
    job = _checked(attempt.job_id, model_of(attempt.job_id))
    return f"{tenant}/{job}/{_checked(attempt.token, removal.TOKEN.fullmatch(attempt.token))}"


def stored_name(filename: str) -> str:
    """The name, if it is one of ours. Raises `ValueError`."""
    return _checked(filename, removal.FILE.fullmatch(filename))


def _checked(name: str, allowed: object) -> str:
    """A name that we would delete again, and that stays one level below its folder. Raises `ValueError`: names are made
    by us, not by clients."""
    if not allowed:
        raise ValueError(f"{name!r} cannot be a file name in the store")
    return name


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Around what writes files. Raises `StorageFull`, `StorageFailed` or `StorageUnavailable` in place of `OSError`."""
    try:
        yield
    except StoreUnreachable as error:
        raise StorageUnavailable(f"the {what} could not be stored: {error.strerror}") from error
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"there is no space left for the {what}") from error
        raise StorageFailed(f"the {what} could not be stored: {error.strerror or type(error).__name__}") from error


def _sync_and_hash(path: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal and size in bytes of a file that is on the disk when this returns."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return digest, file.tell()


def _sync_folders(attempt: Path) -> None:
    """The folders of an attempt, its job and its tenant: without this a rename may be lost in a power cut although the
    file's content is safe."""
    for folder in (attempt, attempt.parent, attempt.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
