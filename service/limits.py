"""Caps on request bodies, counted while they stream in: the server in front of the app has none."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge, BodyTooSlow, Overloaded

JSON_BYTES = 1 << 20
MULTIPART_BYTES = 20 << 20
#: Of all bodies together that have begun and whose requests have not ended.
BODIES_BYTES = 192 << 20
#: How long a body may take, and how much longer for each of its bytes that has come.
BODY_SECONDS = 20.0
SECONDS_PER_BYTE = 1 / (32 << 10)


class BodyLimitMiddleware:
    """Refuses a body as soon as it is known to be too long: by its declared length, or at the byte that is too many.

    Starlette's own limiter knows one size for all content types, and its 413 is plain text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(Headers(scope=scope), receive)
        held = 0

        # Raised inside `receive`, the error passes through whoever reads the body and ends in the error handlers.
        async def limited() -> Message:
            nonlocal held
            if not held:
                body.check_declared()
                held = self._hold(body.most)
            return await body.receive()

        try:
            await self.app(scope, limited, send)
        finally:
            self._held -= held

    def _hold(self, length: int) -> int:
        """Make room for a body before any of it is read. Raises `Overloaded`."""
        if self._held + length > BODIES_BYTES:
            raise Overloaded("too many uploads at a time; try again")
        self._held += length
        return length


class _Body:
    """What has come of the body of one request."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
        self._kind, self._limit = ("multipart", MULTIPART_BYTES) if multipart else ("JSON", JSON_BYTES)
        declared = headers.get("content-length", "")
        self._declared = int(declared[:20]) if declared.isdecimal() else None
        self._endless = self._declared is None and "transfer-encoding" in headers
        self._receive = receive
        self._began, self._seen, self._ended = time.monotonic(), 0, False

    @property
    def most(self) -> int:
        """How many bytes it can come to; 0 for a request without a body."""
        return self._limit if self._endless else self._declared or 0

    def check_declared(self) -> None:
        """Raises `BodyTooLarge`."""
        if (self._declared or 0) > self._limit:
            raise BodyTooLarge(f"the body has {self._declared} bytes; a {self._kind} body may have {self._limit}")

    async def receive(self) -> Message:
        """The next message. Raises `BodyTooLarge`, `BodyTooSlow`."""
        if self._ended:  # Only the end of the connection can come.
            return await self._receive()
        left = self._began + BODY_SECONDS + self._seen * SECONDS_PER_BYTE - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            raise BodyTooSlow(
                f"of the body {self._seen} bytes came in {time.monotonic() - self._began:.0f} s"
            ) from None
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            raise BodyTooLarge(f"the body has more than the {self._limit} bytes that a {self._kind} body may have")
        return message
