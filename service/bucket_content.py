"""The bytes of a result that lies in a bucket: piece by piece through this process, or by a link to them."""

import re
from typing import Literal

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from service.conditions import CACHING, has_already, not_modified, range_refused
from service.reading import reading
from workers.jobs.artifact import StoredFile
from workers.jobs.object_store import PIECE_BYTES, ObjectStore

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.I)


class BucketResponse(Response):
    """A file with support of one range; several at a time are answered with the whole, as HTTP allows.

    No more of it is in memory than a piece, and the first is there before the answer begins: so what is gone, or
    cannot be read, is an error in its own words. A store that fails later cuts the answer off.
    """

    def __init__(self, store: ObjectStore, stored: StoredFile, filename: str, job_id: str) -> None:
        self._store, self._stored, self._job_id = store, stored, job_id
        super().__init__(media_type=stored.media_type)
        self._etag = f'"{stored.sha256}"'
        self.headers.update(
            {
                "etag": self._etag,
                "cache-control": CACHING,
                "accept-ranges": "bytes",
                "content-disposition": f'attachment; filename="{filename}"',
                "content-length": str(stored.size_bytes),
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, size = Headers(scope=scope), self._stored.size_bytes
        if has_already(headers, self._etag):
            await not_modified(self._etag)(scope, receive, send)
            return
        span = _span(headers, size, self._etag)
        if span is None:
            await range_refused(headers["range"], size)(scope, receive, send)
            return
        start, end = span
        if (start, end) != (0, size):
            self.status_code = 206
            self.headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
            self.headers["content-length"] = str(end - start)
        only_head = scope["method"] == "HEAD"
        piece = await self._piece(start, start + 1 if only_head else end)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while not only_head and start + len(piece) < end:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            start += len(piece)
            piece = await self._piece(start, end)
        await send({"type": "http.response.body", "body": b"" if only_head else piece})

    async def _piece(self, start: int, end: int) -> bytes:
        with reading(self._job_id):
            return await self._store.piece(self._stored, start, min(end, start + PIECE_BYTES))


class LinkResponse(Response):
    """A redirect to the file in its bucket, for whoever has the link, as long as that holds."""

    def __init__(self, store: ObjectStore, stored: StoredFile, seconds: float, job_id: str) -> None:
        self._store, self._stored, self._seconds, self._job_id = store, stored, seconds, job_id
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        etag = f'"{self._stored.sha256}"'
        if has_already(Headers(scope=scope), etag):
            await not_modified(etag)(scope, receive, send)
            return
        method: Literal["HEAD", "GET"] = "HEAD" if scope["method"] == "HEAD" else "GET"
        with reading(self._job_id):
            link = await self._store.link(self._stored, method, self._seconds)
        await RedirectResponse(link, 307, {"cache-control": "no-store"})(scope, receive, send)


def _span(headers: Headers, size: int, etag: str) -> tuple[int, int] | None:
    """From which byte up to which; None for a range that the file does not have."""
    asked = headers.get("range")
    if asked is None or headers.get("if-range", etag) != etag:
        return 0, size
    unit, equals, _ = asked.partition("=")
    if "," in asked or (equals and unit.strip().lower() != "bytes"):
        return 0, size
    found = _RANGE.fullmatch(asked)
    if found is None or not any(found.groups()):
        return None
    first, last = found[1][:20], found[2][:20]
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    return (start, end) if start < end else None
