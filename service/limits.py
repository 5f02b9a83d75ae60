"""Caps on request bodies, counted while they stream in: the server in front of the app has none."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge, Overloaded

JSON_BYTES = 1 << 20
MULTIPART_BYTES = 20 << 20
#: Of all bodies together that have begun and whose requests have not ended.
BODIES_BYTES = 192 << 20


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
        headers = Headers(scope=scope)
        multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
        kind, limit = ("multipart", MULTIPART_BYTES) if multipart else ("JSON", JSON_BYTES)
        declared = headers.get("content-length", "")
        length = int(declared) if declared.isdecimal() else None
        seen = held = 0

        # Raised inside `receive`, the error passes through whoever reads the body and ends in the error handlers.
        async def limited() -> Message:
            nonlocal seen, held
            if length is not None and length > limit:
                raise BodyTooLarge(f"the body has {declared} bytes; a {kind} body may have {limit}")
            if not held:
                held = self._hold(limit if length is None else length)
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise BodyTooLarge(f"the body has more than the {limit} bytes that a {kind} body may have")
            return message

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
