"""What keeps the results, whatever it is made of: a folder, or a bucket."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from workers.jobs.artifact import Artifact, Preview, StoredFile
from workers.jobs.job import AttemptKey, JobKey


class StoreUnreachable(OSError):
    """The store did not answer in time, or what answers is not in order. Trying again later may help."""


class Store(Protocol):
    """Result files: published whole or not at all, each attempt's apart from the others'.

    Publication makes a file durable, and only `Leases.complete` makes it the job's result. So an attempt that lost its
    job can leave a file behind, but never one that a client sees. Without a word of its own a call raises `OSError`,
    and `StoreUnreachable`, which is one.
    """

    def publish(
        self,
        attempt: AttemptKey,
        filename: str,
        write: Callable[[Path], None],
        media_type: str,
        previews: Mapping[Preview, bytes] | None = None,
    ) -> Artifact:
        """Let `write` make the file, and publish it under its final name once it is safe.

        `write` gets a path that ends in `.tmp`. previews: in WebP, published beside it. Raises `StorageFull`,
        `StorageFailed`, and what `write` raises beside; nothing of the attempt's files stays behind then.
        """

    def keep_reference(self, job: JobKey, content: bytes) -> None:
        """Keep the image that a job starts from until the job's files are deleted.

        Several arrivals of a request may do this at the same time, with the same content. Raises `StorageFull`,
        `StorageFailed`.
        """

    def read_reference(self, job: JobKey) -> bytes:
        """The image that a job starts from. Raises `FileNotFoundError` when it is gone."""

    def open(self, stored: StoredFile) -> BinaryIO:
        """The file, for whoever closes it; it stays whole when it is deleted meanwhile.

        Raises `FileNotFoundError` when it is gone, or no longer the one that was stored.
        """

    def holds(self, stored: StoredFile) -> bool:
        """Whether the file is there, of the size that was stored."""

    def at_hand(self, stored: StoredFile) -> AbstractContextManager[Path]:
        """The file on this machine, for a while. Raises `FileNotFoundError` when it is gone."""

    def delete(self, job: JobKey) -> None:
        """Delete every file of a job, if there are any."""

    def discard(self, attempt: AttemptKey) -> None:
        """Delete the files of one attempt that will never be a result; what cannot be deleted is left to the sweep."""

    def sweep(self, is_referenced: Callable[[AttemptKey], bool], older_than_seconds: float) -> Iterator[bool]:
        """Delete the files of attempts that no live record points to, such as those of killed workers.

        Gives for each attempt in the store whether it was deleted, so that a caller can stop and go on. `is_referenced`
        is asked of those that did not change for `older_than_seconds`. That should be longer than a lease, because
        files are there before their attempt's job is completed.
        """

    def probe(self) -> float:
        """See that results can be stored; gives the Unix time by the clock that dates the store's files."""

    def free_and_total_bytes(self) -> tuple[int, int] | None:
        """Of what the results lie on; None where that has no end."""

    def mark(self) -> str | None:
        """The id of the installation that the store belongs to; None of one that belongs to none."""

    def set_mark(self, id: str) -> None:
        """Have it belong to an installation."""

    def has_results(self) -> bool:
        """Whether there is any file of a job."""
