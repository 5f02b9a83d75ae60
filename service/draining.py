"""An answer that comes before its request has ended: the client is still sending, and might not look at it."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What is read and thrown away of such a request, so that the client gets to the answer; then the connection is closed.
DRAIN_BYTES = 40 << 20
DRAIN_SECONDS = 5.0


class DrainMiddleware:
    """Sends the answer, reads on for a while, and only then closes: closing at once would reset the connection, and the
    answer with it. Nothing is read on of a request that waits for leave to send its body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        ended, begun = False, "expect" not in headers

        async def watched() -> Message:
            nonlocal ended, begun
            message = await receive()
            begun = True
            ended = ended or message["type"] == "http.disconnect" or not message.get("more_body", False)
            return message

        async def draining(message: Message) -> None:
            if ended:
                await send(message)
            elif message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
                await send(message)
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                if begun:
                    await drain()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def drain() -> None:
            drained = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    while not ended and drained < DRAIN_BYTES:
                        drained += len((await watched()).get("body", b""))

        await self.app(scope, watched, draining)
