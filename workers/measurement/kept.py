"""What interrupted commands have kept in their work folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from workers.jobs.errors import InvalidRequest


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Inside, a kept file is read. Raises `InvalidRequest`, with its name, where it is damaged."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, RecursionError) as error:
        raise InvalidRequest(
            "work", f"--work: {path} is damaged; delete it, and the same command measures it again"
        ) from error
