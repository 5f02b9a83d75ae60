"""What of a job lies in the store of the results."""

from typing import Literal

from pydantic import Field

from workers.jobs.frozen import Frozen

#: Small pictures of a result that are kept beside it, each in a file of its own.
Preview = Literal["thumbnail", "spritesheet"]


class StoredFile(Frozen):
    """A published file. `path` is relative to the store's root and unique to the attempt that wrote it."""

    path: str
    media_type: str
    size_bytes: int
    sha256: str


class Artifact(StoredFile):
    """A job's result, and what there is of previews of it."""

    previews: dict[Preview, StoredFile] = Field(default_factory=dict)
