"""One message to one receiver, which may be anything: every wait and every byte is bounded."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from service.webhook_post import ANSWER_BYTES, Outcome, Receivers, body_of
from tests.service.receiver import Receiver, status
from workers.jobs.deliveries import Delivery

LOOPBACK = [ip_network("127.0.0.0/8")]


def a_delivery(url: str) -> Delivery:
    return Delivery(
        id="msg_wan-test_" + "0" * 32,
        tenant="acme",
        job="video_wan-test_" + "1" * 32,
        type="video.completed",
        url=url,
        lane="acme x",
        state="sending",
        created_at=1_795_000_000.75,
        attempts=1,
    )


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def post(url: str, seconds: float = 60.0, allowed: bool = True) -> Outcome:
    delivery = a_delivery(url)
    async with Receivers(LOOPBACK if allowed else [], here, most=4, attempt_seconds=seconds) as receivers:
        return await receivers.post(delivery, body_of(delivery), signatures="v1,abc v1,def", timestamp=7)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_a_message_is_of_the_shape_of_openai_with_the_headers_of_standard_webhooks(receiver: Receiver) -> None:
    outcome = asyncio.run(post(f"http://Hooks.test:{receiver.port}/a/b?c=d"))
    assert (outcome.status, outcome.error) == (200, None)
    got = receiver.next()
    assert got.path == "/a/b?c=d"
    assert got.headers["host"] == f"Hooks.test:{receiver.port}"
    assert {name: got.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")} == {
        "id": "msg_wan-test_" + "0" * 32,
        "timestamp": "7",
        "signature": "v1,abc v1,def",
    }
    assert got.headers["content-type"] == "application/json"
    assert json.loads(got.body) == {
        "id": "msg_wan-test_" + "0" * 32,
        "object": "event",
        "created_at": 1795000000,
        "type": "video.completed",
        "data": {"id": "video_wan-test_" + "1" * 32},
    }


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_every_success_counts(receiver: Receiver, code: int) -> None:
    receiver.answer = status(code, b"" if code == 204 else b"ok")
    assert asyncio.run(post(receiver.url)).error is None


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, code: int) -> None:
    receiver.answer = status(code, location=f"{receiver.url}/elsewhere")
    outcome = asyncio.run(post(receiver.url))
    assert outcome.status == code and "redirect" in (outcome.error or "")
    assert receiver.next().path == "/hook" and receiver.got.empty()


@pytest.mark.parametrize("code", [400, 404, 410, 429, 500, 503])
def test_a_refusal_is_told_by_its_status_and_nothing_of_its_body(receiver: Receiver, code: int) -> None:
    receiver.answer = status(code, b"internal: 10.0.0.1")
    assert asyncio.run(post(receiver.url)).error == f"the receiver answered {code}"


def test_a_receiver_that_never_answers_is_left(receiver: Receiver) -> None:
    ends = threading.Event()
    receiver.answer = lambda _: bool(ends.wait(60)) and None
    try:
        outcome = asyncio.run(post(receiver.url, seconds=0.2))
    finally:
        ends.set()
    assert outcome.status is None and "in time" in (outcome.error or "")


def test_headers_that_drip_for_ever_are_left(receiver: Receiver) -> None:
    ends = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not ends.wait(0.01):
            handler.wfile.write(b"x-more: 1\r\n")

    receiver.answer = drip
    try:
        assert "in time" in (asyncio.run(post(receiver.url, seconds=0.3)).error or "")
    finally:
        ends.set()


def test_an_endless_body_is_not_read_to_its_end_and_the_status_counts(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhook_post.BODY_SECONDS", 3600.0)  # Its bytes end it, not its time.
    written = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * ANSWER_BYTES)
        except OSError:
            written.set()

    receiver.answer = endless
    assert asyncio.run(post(receiver.url, seconds=20.0)).error is None
    assert written.wait(60), "the connection is closed"


def test_a_body_that_never_comes_does_not_turn_success_into_failure(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhook_post.BODY_SECONDS", 0.1)
    ends = threading.Event()

    def silent(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "5")
        handler.end_headers()
        handler.wfile.flush()
        ends.wait(60)

    receiver.answer = silent
    try:
        assert asyncio.run(post(receiver.url)).error is None
    finally:
        ends.set()


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000, b"\0" * 100]
)
def test_what_is_no_http_is_an_error_and_not_a_crash(receiver: Receiver, said: bytes) -> None:
    receiver.answer = lambda handler: bool(handler.wfile.write(said)) and None
    outcome = asyncio.run(post(receiver.url))
    assert outcome.status is None and outcome.error and len(outcome.error) < 300


def test_nobody_listening_is_an_error_and_not_a_crash() -> None:
    with Receiver() as receiver:
        url = receiver.url
    assert "no connection" in (asyncio.run(post(url)).error or "")


def test_an_address_that_is_not_public_is_not_called_and_not_told(receiver: Receiver) -> None:
    outcome = asyncio.run(post(f"http://internal.test:{receiver.port}", allowed=False))
    assert "not public" in (outcome.error or "") and "127.0.0.1" not in (outcome.error or "")
    assert receiver.got.empty()


def test_the_authorities_are_read_once_and_not_for_each_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    authority.issue_cert("hooks.test").configure_cert(context)

    async def call(delivery: Delivery) -> list[str | None]:
        async with Receivers(LOOPBACK, here, most=4) as receivers:
            (tmp_path / "ca.pem").unlink()
            body = body_of(delivery)
            return [(await receivers.post(delivery, body, signatures="v1,abc", timestamp=7)).error for _ in range(2)]

    with Receiver(tls=context) as receiver:
        assert asyncio.run(call(a_delivery(f"https://hooks.test:{receiver.port}/"))) == [None, None]


def test_tls_is_by_the_name_and_not_by_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, asked = trustme.CA(), list[str | None]()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.test").configure_cert(context)
    context.sni_callback = lambda _, name, __: asked.append(name)  # type: ignore[assignment]
    with Receiver(tls=context) as receiver:
        assert asyncio.run(post(f"https://hooks.test:{receiver.port}/")).error is None
        assert receiver.next().headers["host"] == f"hooks.test:{receiver.port}"
        refused = asyncio.run(post(f"https://other.test:{receiver.port}/"))
    assert asked == ["hooks.test", "other.test"]
    assert refused.status is None and "no connection" in (refused.error or "")
