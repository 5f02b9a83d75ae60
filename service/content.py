"""The bytes of a finished job."""

import stat

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from service.errors import ArtifactGone, RangeNotSatisfiable, response_of
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import JobNotFinished
from workers.jobs.job import Job


class ArtifactResponse(FileResponse):
    """A file with Range support, whose refusal of a range has the shape of every other error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def shaped(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = True
                header = dict(scope["headers"]).get(b"range", b"").decode("latin-1")[:80]
                size = self.headers["content-length"]
                error = RangeNotSatisfiable(f"range {header!r} cannot be served; the file has {size} bytes")
                response = response_of(error)
                response.headers["content-range"] = f"bytes */{size}"
                await response(scope, receive, send)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, shaped)


def open_artifact(job: Job, store: ArtifactStore) -> ArtifactResponse:
    """A job's file. Raises `JobNotFinished` when there is none yet or never will be, `ArtifactGone` when it went."""
    if not job.state.terminal:
        raise JobNotFinished(f"{job.id} is {job.state.value}; its content is available once it is completed")
    if job.artifact is None:
        raise JobNotFinished(f"{job.id} is {job.state.value} and has no content")
    path = store.path(job.artifact)
    try:
        status = path.stat()
    except OSError:
        raise ArtifactGone(f"the content of {job.id} is no longer available") from None
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactGone(f"the content of {job.id} is no longer available")
    return ArtifactResponse(
        path,
        media_type=job.artifact.media_type,
        filename=f"{job.id}{path.suffix}",
        stat_result=status,
        headers={"etag": f'"{job.artifact.sha256}"'},
    )
