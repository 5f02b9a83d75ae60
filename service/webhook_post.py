"""One message to one receiver: the request, and what came of it. Every wait and every byte of it is bounded."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpcore2

from service.addresses import AddressRefused, GuardedNetwork, Network, Resolve
from workers.jobs.deliveries import Delivery

#: How long an attempt may take in all, and how long each wait for the receiver may be.
ATTEMPT_SECONDS = 20.0
WAIT_SECONDS = 10.0
#: Of an answer's body: so much is read within that time, to end the exchange as its sender expects, and thrown away.
ANSWER_BYTES = 16 << 10
BODY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. status: of the answer, None where there was none. error: None where it was taken."""

    status: int | None
    error: str | None
    seconds: float


def body_of(delivery: Delivery) -> str:
    """The message, the same at each attempt."""
    message = {
        "id": delivery.id,
        "object": "event",
        "created_at": int(delivery.created_at),
        "type": delivery.type,
        "data": {"id": delivery.job},
    }
    return json.dumps(message, separators=(",", ":"))


class Receivers:
    """Sends messages. To be used within its block, by one event loop.

    allowed: networks that may be called although they are not public. most: how many requests there are at a time.
    """

    def __init__(
        self,
        allowed: Iterable[Network],
        resolve: Resolve,
        *,
        most: int,
        attempt_seconds: float = ATTEMPT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempt_seconds, self._clock = attempt_seconds, clock
        # A connection is for one request: the next one looks at the name's addresses again. The certificates are read
        # once, or the pool would read them for each connection, and hold up the event loop.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=most,
            max_keepalive_connections=0,
            network_backend=GuardedNetwork(allowed, resolve),
        )
        self._agent = f"ScalingCache-Serve/{version('scalingcache-serve')}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    async def post(self, delivery: Delivery, body: str, *, signatures: str, timestamp: int) -> Outcome:
        """Send a message. Raises nothing: whatever goes wrong at the other end is the outcome."""
        began = self._clock()
        status: int | None = None
        try:
            async with asyncio.timeout(self._attempt_seconds):
                status = await self._exchange(delivery, body, signatures, timestamp)
            error = _complaint(status)
        except AddressRefused:
            error = "the host has no address that may be called: none at all, or one that is not public"
        except (TimeoutError, httpcore2.TimeoutException):
            error = "the receiver did not answer in time"
        except httpcore2.ConnectError as failure:
            error = f"no connection to the receiver: {_plain(failure)}"
        except (httpcore2.NetworkError, httpcore2.ProtocolError, ValueError, OSError) as failure:
            error = f"the receiver's answer was cut off or is no HTTP: {_plain(failure)}"
        return Outcome(status, error, self._clock() - began)

    async def _exchange(self, delivery: Delivery, body: str, signatures: str, timestamp: int) -> int:
        headers: dict[bytes | str, bytes | str] = {
            "host": urlsplit(delivery.url).netloc,
            "content-type": "application/json",
            "user-agent": self._agent,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures,
            "connection": "close",
        }
        waits = dict.fromkeys(("connect", "read", "write", "pool"), WAIT_SECONDS)
        async with self._pool.stream(
            "POST", delivery.url, headers=headers, content=body.encode(), extensions={"timeout": waits}
        ) as response:
            # Its status is what counts; whether the rest comes is not ours to wait for.
            with suppress(TimeoutError, httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
                async with asyncio.timeout(BODY_SECONDS):
                    await _drain(response)
            return int(response.status)


async def _drain(response: httpcore2.Response) -> None:
    read = 0
    async for part in response.aiter_stream():
        read += len(part)
        if read > ANSWER_BYTES:
            return


def _complaint(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"the receiver answered {status}: redirects are not followed"
    return f"the receiver answered {status}"


def _plain(error: Exception) -> str:
    """In the words of TLS or of the system, and short: it is shown to the client whose receiver this is."""
    return (str(error) or type(error).__name__)[:200]
