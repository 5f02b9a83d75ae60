"""The bytes of a finished job."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from fastapi.responses import FileResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.errors import ArtifactGone, PreviewMissing, RangeNotSatisfiable, response_of
from service.run import variants_of
from workers.jobs.artifact import Artifact, Preview, StoredFile
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import JobNotFinished
from workers.jobs.job import Job

#: Under this path the file behind a descriptor can be opened again, also when its name is gone.
_DESCRIPTORS = Path("/dev/fd")
#: The client may keep it, but asks each time: it may have been deleted.
_CACHING = "private, no-cache"


class ArtifactResponse(FileResponse):
    """A file with Range support, whose refusal of a range has the shape of every other error.

    It is open before the answer begins: a deletion meanwhile takes its name, and the client still gets all of it.
    """

    def __init__(self, file: BinaryIO, stored: StoredFile, filename: str) -> None:
        self._file = file
        super().__init__(
            _DESCRIPTORS / str(file.fileno()),
            media_type=stored.media_type,
            filename=filename,
            stat_result=os.fstat(file.fileno()),
            headers={"etag": f'"{stored.sha256}"', "cache-control": _CACHING},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            headers = Headers(scope=scope)
            if self._has_already(headers.get("if-none-match", "")):
                await Response(status_code=304, headers={"etag": self.headers["etag"], "cache-control": _CACHING})(
                    scope, receive, send
                )
            else:
                await super().__call__(_without_foreign_range(scope, headers), receive, self._shaped(scope, send))

    def _has_already(self, known: str) -> bool:
        """By its hash, which a weak comparison looks at as well."""
        tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
        return "*" in tags or self.headers["etag"] in tags

    def _shaped(self, scope: Scope, send: Send) -> Send:
        refused = False

        async def shaped(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = True
                asked, size = Headers(scope=scope)["range"][:80], self.headers["content-length"]
                response = response_of(
                    RangeNotSatisfiable(f"range {asked!r} cannot be served; the file has {size} bytes")
                )
                response.headers["content-range"] = f"bytes */{size}"
                await response(scope, _nothing, send)
            elif not refused:
                await send(message)

        return shaped


async def _nothing() -> Message:
    raise AssertionError("an answer without a background task reads no request")


def _without_foreign_range(scope: Scope, headers: Headers) -> Scope:
    """HTTP has a range in an unknown unit ignored, not refused."""
    unit, equals, _ = headers.get("range", "").partition("=")
    if not equals or unit.strip().lower() == "bytes":
        return scope
    scope = {**scope, "headers": list(scope["headers"])}
    del MutableHeaders(scope=scope)["range"]
    return scope


def artifact_response(job: Job, store: ArtifactStore, preview: Preview | None = None) -> ArtifactResponse:
    """The answer with a job's result, or with a preview of it. Raises as `open_stored` does, and `PreviewMissing`."""
    result = result_of(job)
    stored, name = (result, job.id) if preview is None else (result.previews.get(preview), f"{job.id}-{preview}")
    if stored is None:
        raise PreviewMissing(f"{job.id} has no {preview}; it has: {', '.join(variants_of(job) or [])}")
    return ArtifactResponse(open_stored(job, stored, store), stored, f"{name}{Path(stored.path).suffix}")


def result_of(job: Job) -> Artifact:
    """Raises `JobNotFinished` when there is none yet or never will be."""
    if not job.state.terminal:
        raise JobNotFinished(f"{job.id} is {job.state.value}; its content is available once it is completed")
    if job.artifact is None:
        raise JobNotFinished(f"{job.id} is {job.state.value} and has no content")
    return job.artifact


def open_artifact(job: Job, store: ArtifactStore) -> BinaryIO:
    """A job's result, open. Raises as `result_of` and `open_stored`."""
    return open_stored(job, result_of(job), store)


def open_stored(job: Job, stored: StoredFile, store: ArtifactStore) -> BinaryIO:
    """A file of a job's, open. Raises `ArtifactGone` when it went, or is no longer the one that was stored."""
    gone = ArtifactGone(f"the content of {job.id} is no longer available")
    try:
        file = store.path(stored).open("rb")
    except OSError:
        raise gone from None
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size != stored.size_bytes:
        file.close()
        raise gone
    return file
