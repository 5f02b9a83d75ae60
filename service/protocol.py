"""HTTP on one connection: uvicorn's, with bounds on what a client may leave open, and every answer in our shape."""

import asyncio
import secrets

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import HeadTooLarge, HeadTooSlow, MalformedRequest, Overloaded, response_of
from workers.jobs.errors import ScalingCacheError

#: From the first byte of a request, or the opening of a connection, to the end of the headers.
HEAD_SECONDS = 10.0
HEAD_BYTES = 64 << 10
#: Without a byte more that the client takes, when what waits for it is more than the connection holds.
STALL_SECONDS = 60.0
#: Of one process, at a time, where the limit on open files allows it; a download takes three files.
CONNECTIONS = 2000

_PHRASES = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class Protocol(HttpToolsProtocol):
    """A request's head arrives within a time and a size, and its answer is taken, or the connection is closed."""

    most_connections = CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _parsed_bytes = 0
    _refusal: ScalingCacheError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        super().connection_made(transport)
        self._expect_head()
        if len(self.connections) > self.most_connections:
            self._refuse(Overloaded("too many connections at a time; try again"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._have_head()
        self._has_taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._deadline is None and self._is_idle() and self.timeout_keep_alive_task is None:
            self._expect_head()  # Not even its first line has come; blank lines are no request.
        if self._deadline is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(_too_large())

    def on_message_begin(self) -> None:
        """Called by the parser."""
        super().on_message_begin()
        self._parsed_bytes = 0
        if self._deadline is None:
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._have_head()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """Called by the transport when the client is behind."""
        super().pause_writing()
        self._has_taken()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Called by the transport when the client has caught up."""
        super().resume_writing()
        self._has_taken()

    def send_400_response(self, msg: str) -> None:
        """Called where the parser finds no HTTP, or what it calls refuses to go on."""
        self._refuse(self._refusal or MalformedRequest(msg))

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._on_deadline)

    def _have_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _count(self, length: int) -> None:
        """What has been parsed of a head; one that comes in a single piece is never seen to be incomplete."""
        self._parsed_bytes += length
        if self._parsed_bytes > HEAD_BYTES:
            self._refusal = _too_large()
            raise self._refusal  # The parser stops, and has `send_400_response` called.

    def _watch(self, waiting: int) -> None:
        self._stalled = self.loop.call_later(STALL_SECONDS, self._on_stall, waiting)

    def _has_taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _on_stall(self, waited: int) -> None:
        """A slow client may take as long as it likes; one that takes nothing is gone, or never was one."""
        if (waiting := self.transport.get_write_buffer_size()) < waited:
            self._watch(waiting)
        else:
            self.transport.abort()

    def _on_deadline(self) -> None:
        self._deadline = None
        if self._is_idle():
            self._refuse(HeadTooSlow(f"the request's headers did not arrive within {HEAD_SECONDS:g} s"))
        else:
            self.transport.close()

    def _refuse(self, error: ScalingCacheError) -> None:
        """Answer, unless another answer is under way, and close."""
        self._have_head()
        if not self.transport.is_closing() and self._may_answer():
            self.transport.write(_answer(error))
        self.transport.close()

    def _may_answer(self) -> bool:
        """Also in the place of the application, where the body that it waits for turns out to be no HTTP."""
        if self._is_idle():
            return True
        if self.cycle.response_started or self.pipeline:
            return False
        self.cycle.disconnected = True  # The application can say nothing more, and sees that the client is gone.
        self.cycle.message_event.set()
        return True


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"the request's headers have more than {HEAD_BYTES} bytes")


def _answer(error: ScalingCacheError) -> bytes:
    response = response_of(error)
    response.headers["connection"] = "close"
    response.headers["x-request-id"] = f"req_{secrets.token_hex(16)}"
    phrase = _PHRASES.get(response.status_code, "Service Unavailable")
    head = [b"HTTP/1.1 %d %s" % (response.status_code, phrase.encode())]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*head, b"", bytes(response.body)])
