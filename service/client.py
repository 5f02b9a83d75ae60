"""Work that is for one client alone, and ends when the client leaves."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Message

Result = TypeVar("Result")

#: How soon to cancel again what has not ended.
CANCEL_SECONDS = 0.1


async def unless_client_leaves(
    receive: Callable[[], Awaitable[Message]], work: Coroutine[Any, Any, Result], seconds: float | None = None
) -> Result:
    """What `work` returns or raises. Raises `ClientDisconnect` once the client has left, and cancels it.

    receive: the request's, whose body has been read: it tells when the client leaves. seconds: how long `work` may take
    before it is cancelled with `TimeoutError`.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        done, _ = await asyncio.wait({working, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise TimeoutError
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(working, leaving)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancels tasks until they have ended. Once is not enough: libraries swallow it, as redis-py in a read does."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _left(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
