"""What clients may leave open, and what they get that send no HTTP: on real connections."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from service import draining, limits, protocol
from service.app import create_app
from service.protocol import Protocol
from service.settings import Settings
from tests.waiting import wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\n"


@dataclass
class Serving:
    """A server that runs."""

    port: int
    connections: set[Any]


@contextmanager
def serving(app: Any, http: type[Protocol] = Protocol) -> Iterator[Serving]:
    config = uvicorn.Config(
        app, port=0, http=http, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    wait_until(lambda: server.started)
    yield Serving(listener.getsockname()[1], server.server_state.connections)
    server.should_exit = True
    thread.join()


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    with serving(create_app(settings)) as server:
        yield server.port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def read(connection: socket.socket) -> bytes:
    """All until the server closes."""
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def answered(answer: bytes) -> tuple[int, str]:
    """Status and error code of the last answer."""
    head, _, body = answer.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    headers = head.lower()
    assert b"x-request-id: req_" in headers and b"connection: close" in headers
    assert b"content-type: application/json" in headers
    return int(head[:3]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET / HTTP/9\r\nbad\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET"]
)
def test_what_is_no_http_gets_an_error_in_the_common_shape(port: int, sent: bytes) -> None:
    with closing(connect(port)) as connection:
        connection.sendall(sent + b"\0\r\n\r\n")
        assert answered(read(connection)) == (400, "malformed_request")


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n", b"GET /hea", GET, GET + b"x: y", GET + b"\r\n" + GET],
    ids=["nothing", "blank line", "first line", "headers", "a header", "a second request"],
)
def test_a_head_that_does_not_end_is_not_waited_for(port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 1.0)
    with closing(connect(port)) as connection:
        connection.sendall(sent)
        assert answered(read(connection)) == (408, "headers_too_slow")


def test_blank_lines_do_not_keep_a_connection_open(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(connect(port)) as connection:
        connection.sendall(GET + b"\r\n")
        assert b"200 OK" in connection.recv(65536)
        monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
        connection.sendall(b"\r\n")
        assert answered(read(connection)) == (408, "headers_too_slow")


def test_headers_without_end_are_refused(port: int) -> None:
    with closing(connect(port)) as connection:
        connection.sendall(GET + b"x: " + b"y" * protocol.HEAD_BYTES)
        assert answered(read(connection)) == (431, "headers_too_large")


def test_one_connection_too_many_is_told_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Protocol, "most_connections", 2)
    with closing(connect(port)) as first, closing(connect(port)) as second:
        for connection in (first, second):
            connection.sendall(GET + b"\r\n")
            assert b"200 OK" in connection.recv(65536)
        with closing(connect(port)) as third:
            answer = read(third)
            assert answered(answer) == (503, "overloaded") and b"retry-after: " in answer

    def served_again() -> bool:
        with suppress(OSError), closing(connect(port)) as later:
            later.sendall(GET + b"connection: close\r\n\r\n")
            return b"200 OK" in read(later)
        return False

    wait_until(served_again)


@pytest.mark.parametrize(
    "head",
    [b"content-length: 100\r\n\r\n{", b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ids=["length", "chunked"],
)
def test_a_body_that_stops_is_not_waited_for(port: int, head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0.1)
    with closing(connect(port)) as connection:
        connection.sendall(POST + head)
        assert answered(read(connection)) == (408, "body_too_slow")


def test_a_form_that_stops_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0.1)
    head = POST.replace(b"application/json", b"multipart/form-data; boundary=b")
    with closing(connect(port)) as connection:
        connection.sendall(head + b"content-length: 100\r\n\r\n--b\r\ncontent-disposition: form-data; name=")
        assert answered(read(connection)) == (408, "body_too_slow")


@pytest.mark.parametrize(
    ("path", "status"),
    [(b"/healthz", 200), (b"/v1/videos", 413), (b"/nowhere", 404), (b"/v1/videos/video_1/cancel", 404)],
)
def test_a_client_that_sends_a_long_body_to_its_end_gets_the_answer(
    port: int, path: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 60.0)
    method, length = b"GET" if path == b"/healthz" else b"POST", 30 << 20
    head = b"%s %s HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with closing(connect(port)) as connection:
        connection.sendall(head % (method, path, length))
        connection.sendall(bytes(length))
        answer = read(connection)
    assert answer.startswith(b"HTTP/1.1 %d" % status) and b"connection: close" in answer


def test_of_a_body_that_nobody_reads_only_so_much_is_taken(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DRAIN_BYTES", 1 << 20)
    with closing(connect(port)) as connection:
        connection.sendall(GET + b"content-length: %d\r\n\r\n" % (1 << 40))
        sent = 0
        with pytest.raises(OSError):
            while sent < 100 << 20:
                sent += connection.send(bytes(65536))
    assert sent < 100 << 20


def test_a_client_that_asks_before_it_sends_is_refused_without_sending(port: int) -> None:
    with closing(connect(port)) as connection:
        connection.sendall(POST + b"content-length: 99999999\r\nexpect: 100-continue\r\n\r\n")
        answer = read(connection)
    assert answered(answer) == (413, "body_too_large") and b"100 Continue" not in answer


async def download(scope: Scope, receive: Receive, send: Send) -> None:
    """More than a connection holds."""
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body"})


def test_a_client_that_takes_nothing_of_its_download_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.1)
    with serving(download) as server, closing(connect(server.port)) as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(10) == b"HTTP/1.1 2"
        wait_until(lambda: not server.connections)


def test_a_client_that_takes_its_download_slowly_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_SECONDS", 3.0)  # longer than a busy machine keeps a client from reading
    looks: list[int] = []

    class Watched(Protocol):
        def _watch(self, waiting: int) -> None:
            looks.append(waiting)
            super()._watch(waiting)

    with serving(download, Watched) as server, closing(connect(server.port)) as connection:
        connection.sendall(GET + b"\r\n")
        for _ in range(3):
            seen = len(looks)
            while len(looks) == seen:  # until the server has seen that something was taken
                assert connection.recv(1 << 16)
        assert server.connections
