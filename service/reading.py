"""What it means that a job's file cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ArtifactGone
from workers.jobs.errors import StorageUnavailable
from workers.jobs.store import StoreUnreachable


@contextmanager
def reading(job_id: str) -> Iterator[None]:
    """Around what reads a file of a job. Raises `ArtifactGone`, and `StorageUnavailable` where nobody can tell."""
    try:
        yield
    except (StoreUnreachable, PermissionError) as error:
        raise StorageUnavailable(f"the content of {job_id} cannot be read now: {error.strerror}") from error
    except OSError:
        raise ArtifactGone(f"the content of {job_id} is no longer available") from None
