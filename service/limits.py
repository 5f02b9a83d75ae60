"""Caps on request bodies, counted while they stream in: the server in front of the app has none."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge

JSON_BYTES = 1 << 20
MULTIPART_BYTES = 20 << 20


class BodyLimitMiddleware:
    """Refuses a body as soon as it is known to be too long: by its declared length, or at the byte that is too many.

    Starlette's own limiter knows one size for all content types, and its 413 is plain text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        multipart = headers.get("content-type", "").lower().startswith("multipart/form-data")
        kind, limit = ("multipart", MULTIPART_BYTES) if multipart else ("JSON", JSON_BYTES)
        declared = headers.get("content-length", "")
        seen = 0

        # Raised inside `receive`, the error passes through whoever reads the body and ends in the error handlers.
        async def limited() -> Message:
            nonlocal seen
            if declared.isdecimal() and int(declared) > limit:
                raise BodyTooLarge(f"the body has {declared} bytes; a {kind} body may have {limit}")
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise BodyTooLarge(f"the body has more than the {limit} bytes that a {kind} body may have")
            return message

        await self.app(scope, limited, send)
