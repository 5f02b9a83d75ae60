"""Results in a bucket that speaks S3: each an object, there whole or not at all, since one request puts it.

Objects are named as the files of a folder are: `<prefix>/<tenant>/<job>/<attempt token>/<file>`. Every request has an
end: after `Waits`, whatever the store does.
"""

import hashlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from errno import EACCES, ENOENT, ETIMEDOUT
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar, cast

import obstore
from obstore import exceptions
from obstore.store import S3Store

from workers.jobs import removal
from workers.jobs.artifact import Artifact, Preview, StoredFile
from workers.jobs.artifacts import MARKER, REFERENCE, attempt_path, storage_errors, stored_name
from workers.jobs.job import AttemptKey, JobKey, model_of
from workers.jobs.s3_location import S3Location, Waits
from workers.jobs.store import StoreUnreachable

T = TypeVar("T")
#: Written again and again, to see that results can be stored; and for how many seconds that holds.
PROBE, PROBE_SECONDS = ".scalingcache-probe", 5.0
#: So much of a file is asked for at a time, so that no request takes long however large the file is.
PIECE_BYTES = 4 << 20
_DENIED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_GONE = (exceptions.NotFoundError, FileNotFoundError)


class ObjectStore:
    """Artifacts under one prefix of a bucket, which service and workers share. Safe to share between threads."""

    def __init__(self, location: S3Location, waits: Waits) -> None:
        self._store = S3Store(
            location.bucket,
            prefix=location.prefix or None,
            config=location.config(),
            client_options={
                "connect_timeout": timedelta(seconds=waits.connect),
                "timeout": timedelta(seconds=waits.request),
                "allow_http": location.allows_http,
            },
            retry_config={"max_retries": waits.retries, "retry_timeout": timedelta(seconds=waits.retry)},
        )
        self._seen: dict[str, tuple[float, object]] = {}

    def publish(
        self,
        attempt: AttemptKey,
        filename: str,
        write: Callable[[Path], None],
        media_type: str,
        previews: Mapping[Preview, bytes] | None = None,
    ) -> Artifact:
        """As `Store.publish`; the file is made in the folder for temporary files."""
        folder = attempt_path(attempt)
        with storage_errors("result"), tempfile.TemporaryDirectory() as made:
            unfinished = Path(made) / f"{stored_name(filename)}.tmp"
            write(unfinished)
            try:
                beside = {
                    name: self._put(f"{folder}/{name}.webp", content, "image/webp")
                    for name, content in (previews or {}).items()
                }
                result = self._put(f"{folder}/{filename}", unfinished.read_bytes(), media_type)
            except BaseException:
                self.discard(attempt)
                raise
        return Artifact(**result.model_dump(), previews=beside)

    def keep_reference(self, job: JobKey, content: bytes) -> None:
        """As `Store.keep_reference`."""
        with storage_errors("image"):
            self._put(_reference_path(job), content, "image/png")

    def read_reference(self, job: JobKey) -> bytes:
        """As `Store.read_reference`."""
        with _as_os_errors():
            return bytes(obstore.get(self._store, _reference_path(job)).bytes())

    def open(self, stored: StoredFile) -> BinaryIO:
        """As `Store.open`; the file lies in the folder for temporary files until it is closed."""
        with ExitStack() as opened:
            file = opened.enter_context(tempfile.TemporaryFile())
            for start in range(0, stored.size_bytes, PIECE_BYTES):
                end = min(start + PIECE_BYTES, stored.size_bytes)
                with _as_os_errors():
                    file.write(_whole(obstore.get_range(self._store, stored.path, start=start, end=end), end - start))
            file.seek(0)
            opened.pop_all()
        return file

    def holds(self, stored: StoredFile) -> bool:
        """As `Store.holds`."""
        try:
            with _as_os_errors():
                return bool(obstore.head(self._store, stored.path)["size"] == stored.size_bytes)
        except FileNotFoundError:
            return False

    async def piece(self, stored: StoredFile, start: int, end: int) -> bytes:
        """Bytes of a file from `start` up to `end`. Raises as `open`."""
        with _as_os_errors():
            return _whole(await obstore.get_range_async(self._store, stored.path, start=start, end=end), end - start)

    async def link(self, stored: StoredFile, method: Literal["GET", "HEAD"], seconds: float) -> str:
        """An address that gives the file to whoever has it, for so long. Whether it is there is not asked."""
        with _as_os_errors():
            return await obstore.sign_async(self._store, method, stored.path, timedelta(seconds=seconds))

    @contextmanager
    def at_hand(self, stored: StoredFile) -> Iterator[Path]:
        """As `Store.at_hand`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(stored.path).name
            with self.open(stored) as file, path.open("wb") as copy:
                shutil.copyfileobj(file, copy)
            yield path

    def delete(self, job: JobKey) -> None:
        """As `Store.delete`."""
        self._delete(f"{attempt_path(AttemptKey(job.tenant, job.job_id, removal.INPUT)).rpartition('/')[0]}/")

    def discard(self, attempt: AttemptKey) -> None:
        """As `Store.discard`."""
        with suppress(OSError):
            self._delete(f"{attempt_path(attempt)}/")
        self._seen.clear()  # It may be the store that failed the attempt: the next one waits for an answer of now.

    def sweep(self, is_referenced: Callable[[AttemptKey], bool], older_than_seconds: float) -> Iterator[bool]:
        """As `Store.sweep`."""
        before = self.probe() - older_than_seconds
        for attempt, files in itertools.groupby(self._ours(""), key=lambda file: file[0]):
            old = max(changed for _, _, changed in files) < before
            orphaned = old and not is_referenced(attempt)
            if orphaned:
                self._delete(f"{attempt_path(attempt)}/")
            yield orphaned

    def probe(self) -> float:
        """As `Store.probe`; asks again after `PROBE_SECONDS`."""

        def ask() -> float:
            self._put(PROBE, b"probe", "text/plain")
            changed: float = obstore.head(self._store, PROBE)["last_modified"].timestamp()
            return changed - time.monotonic()

        return self._lately(PROBE, ask) + time.monotonic()

    def free_and_total_bytes(self) -> None:
        """A bucket has no end."""
        return

    def mark(self) -> str | None:
        """As `Store.mark`; asks again after `PROBE_SECONDS`."""

        def ask() -> str | None:
            try:
                return bytes(obstore.get(self._store, MARKER).bytes()).decode(errors="replace").strip()
            except _GONE:
                return None

        return self._lately(MARKER, ask)

    def set_mark(self, id: str) -> None:
        """As `Store.set_mark`."""
        self._put(MARKER, f"{id}\n".encode(), "text/plain")
        self._seen.pop(MARKER, None)

    def has_results(self) -> bool:
        """As `Store.has_results`."""
        return next(self._ours(""), None) is not None

    def _put(self, path: str, content: bytes, media_type: str) -> StoredFile:
        with _as_os_errors():
            # In one request: parts would stay behind, unseen and paid for, when their worker is killed.
            obstore.put(self._store, path, content, attributes={"Content-Type": media_type}, use_multipart=False)
        digest = hashlib.sha256(content).hexdigest()
        return StoredFile(path=path, media_type=media_type, size_bytes=len(content), sha256=digest)

    def _delete(self, prefix: str) -> None:
        """What lies there and is named as we name it."""
        paths = [path for _, path, _ in self._ours(prefix)]
        with _as_os_errors():
            if paths:
                obstore.delete(self._store, paths)

    def _ours(self, prefix: str) -> Iterator[tuple[AttemptKey, str, float]]:
        """Of every object that we would have written: its attempt, path, and Unix time of its last change."""
        with _as_os_errors():
            for found in itertools.chain.from_iterable(obstore.list(self._store, prefix or None, chunk_size=1000)):
                tenant, job, token, name, *deeper = (*found["path"].split("/"), "", "", "", "")
                named = removal.TENANT.fullmatch(tenant) and model_of(job) and removal.TOKEN.fullmatch(token)
                if named and removal.FILE.fullmatch(name) and not any(deeper):
                    yield AttemptKey(tenant, job, token), found["path"], found["last_modified"].timestamp()

    def _lately(self, what: str, ask: Callable[[], T]) -> T:
        """What was answered lately, or now: each of these questions costs money, and is asked before every job."""
        now = time.monotonic()
        at, answer = self._seen.get(what, (-PROBE_SECONDS, None))
        if what not in self._seen or now - at >= PROBE_SECONDS:
            self._seen.pop(what, None)
            with _as_os_errors():
                answer = ask()
            if answer is not None:  # A bucket that bears no mark is about to.
                self._seen[what] = (now, answer)
        return cast(T, answer)


def _whole(content: obstore.Bytes, length: int) -> bytes:
    if len(content) != length:
        raise FileNotFoundError("the object is another one")
    return bytes(content)


def _reference_path(job: JobKey) -> str:
    return f"{attempt_path(AttemptKey(job.tenant, job.job_id, removal.INPUT))}/{REFERENCE}"


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """The library's errors in words that are safe to show: its own quote addresses and answers."""
    try:
        yield
    except _GONE:
        raise FileNotFoundError(ENOENT, "the store has no such object, or no such bucket") from None
    except _DENIED as error:
        raise PermissionError(EACCES, "the store refuses the credentials") from error
    except exceptions.BaseError as error:
        raise StoreUnreachable(ETIMEDOUT, "the store does not answer, or not in order") from error
