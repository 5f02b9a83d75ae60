"""The bytes of a finished job."""

import os
from pathlib import Path
from typing import BinaryIO

from fastapi.responses import FileResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.bucket_content import BucketResponse, LinkResponse
from service.conditions import CACHING, has_already, not_modified, range_refused
from service.errors import PreviewMissing
from service.reading import reading
from service.run import variants_of
from workers.jobs.artifact import Artifact, Preview, StoredFile
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import JobNotFinished
from workers.jobs.job import Job
from workers.jobs.object_store import ObjectStore
from workers.jobs.store import Store

#: Under this path the file behind a descriptor can be opened again, also when its name is gone.
_DESCRIPTORS = Path("/dev/fd")


class ArtifactResponse(FileResponse):
    """A file with Range support, whose refusal of a range has the shape of every other error.

    It is open before the answer begins: a deletion meanwhile takes its name, and the client still gets all of it.
    """

    def __init__(self, file: BinaryIO, stored: StoredFile, filename: str) -> None:
        self._file, self._etag = file, f'"{stored.sha256}"'
        super().__init__(
            _DESCRIPTORS / str(file.fileno()),
            media_type=stored.media_type,
            filename=filename,
            stat_result=os.fstat(file.fileno()),
            headers={"etag": self._etag, "cache-control": CACHING},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            headers = Headers(scope=scope)
            if has_already(headers, self._etag):
                await not_modified(self._etag)(scope, receive, send)
            else:
                await super().__call__(_without_foreign_range(scope, headers), receive, self._shaped(scope, send))

    def _shaped(self, scope: Scope, send: Send) -> Send:
        refused = False

        async def shaped(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = True
                response = range_refused(Headers(scope=scope)["range"], self.headers["content-length"])
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


def artifact_response(
    job: Job, store: ArtifactStore | ObjectStore, preview: Preview | None = None, link_seconds: float | None = None
) -> Response:
    """The answer with a job's result, or with a preview of it.

    link_seconds: for how long a link into a bucket is to hold; None to send the file itself. Raises as `open_stored`
    does, and `PreviewMissing`.
    """
    result = result_of(job)
    stored, name = (result, job.id) if preview is None else (result.previews.get(preview), f"{job.id}-{preview}")
    if stored is None:
        raise PreviewMissing(f"{job.id} has no {preview}; it has: {', '.join(variants_of(job) or [])}")
    filename = f"{name}{Path(stored.path).suffix}"
    if isinstance(store, ArtifactStore):
        return ArtifactResponse(open_stored(job, stored, store), stored, filename)
    if link_seconds is not None:
        return LinkResponse(store, stored, link_seconds, job.id)
    return BucketResponse(store, stored, filename, job.id)


def result_of(job: Job) -> Artifact:
    """Raises `JobNotFinished` when there is none yet or never will be."""
    if not job.state.terminal:
        raise JobNotFinished(f"{job.id} is {job.state.value}; its content is available once it is completed")
    if job.artifact is None:
        raise JobNotFinished(f"{job.id} is {job.state.value} and has no content")
    return job.artifact


def open_artifact(job: Job, store: Store) -> BinaryIO:
    """A job's result, open. Raises as `result_of` and `open_stored`."""
    return open_stored(job, result_of(job), store)


def open_stored(job: Job, stored: StoredFile, store: Store) -> BinaryIO:
    """A file of a job's, open. Raises `ArtifactGone` when it went, or is no longer the one that was stored, and
    `StorageUnavailable`."""
    with reading(job.id):
        return store.open(stored)
