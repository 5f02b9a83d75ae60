"""Each request of the corpus is refused in the shape of an error, soon, and costs the service nothing."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from demo.embedded_redis import EmbeddedRedis, RedisBinary
from tests.fuzz import corpus
from tests.fuzz.target import Target, running_target
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
#: Longer is a hang. A body that does not come is given up after 20 s, so all other answers are sooner.
SECONDS = 15
#: How much more the service may hold after the corpus than before.
MEGABYTES = 24


@pytest.fixture(scope="module")
def target(redis_binary: RedisBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with (
        EmbeddedRedis(binary=redis_binary.path) as redis,
        running_target(redis, tmp_path_factory.mktemp("corpus"), webhook_networks=()) as target,
    ):
        httpx.post(f"{target.url}/v1/webhooks/secrets", headers=target.headers).raise_for_status()
        yield target


def opened(target: Target) -> socket.socket:
    address = urlsplit(target.url)
    return socket.create_connection((address.hostname, address.port), timeout=SECONDS)


def filled(target: Target, request: bytes) -> bytes:
    host, key = urlsplit(target.url).netloc.encode(), f"Authorization: Bearer {target.key}".encode()
    return request.replace(corpus.HOST, host).replace(corpus.KEY, key)


def answer(target: Target, request: bytes) -> tuple[int, bytes]:
    """Status and body of the one answer; a second one would be to what was smuggled."""
    with ExitStack() as undo:
        connection = undo.enter_context(opened(target))
        with suppress(OSError):  # It is refused before all of it is sent; the answer lies there.
            connection.sendall(filled(target, request))
        response = undo.enter_context(closing(HTTPResponse(connection)))
        response.begin()
        body = response.read()
        if response.getheader("connection") == "close":
            assert connection.recv(1) == b"", "there is more behind the answer"
        return response.status, body


@pytest.mark.parametrize("request_", [each for _, each in corpus.refused()], ids=[name for name, _ in corpus.refused()])
def test_it_is_refused_in_the_shape_of_an_error(target: Target, request_: bytes) -> None:
    status, body = answer(target, request_)
    assert 400 <= status < 500, body[:200]
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"} and isinstance(error["code"], str)
    assert error["message"] and len(body) < 4000


@pytest.mark.parametrize("request_", corpus.CUT.values(), ids=list(corpus.CUT))
def test_what_is_cut_off_is_let_go(target: Target, request_: bytes) -> None:
    before = target.process.num_fds()
    for _ in range(3):
        with opened(target) as connection:
            connection.sendall(filled(target, request_))
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                connection.recv(65_536)
    # One to Redis may have come in.
    wait_until(lambda: target.process.num_fds() <= before + 1, awaited="the connections are closed")


def test_slow_clients_are_told_and_hold_up_nobody(target: Target) -> None:
    """A hundred that send a part of a request and no more: 408 by the service's own clock."""
    halves = [corpus.CUT["in the headers"], corpus.CUT["in a body"]] * 50

    def stay(half: bytes) -> bytes:
        with opened(target) as connection:
            connection.settimeout(60)
            connection.sendall(filled(target, half))
            got = b""
            while not got.endswith(b"}}"):
                got += connection.recv(65_536) or pytest.fail(f"closed after {got!r}")
            return got

    with ThreadPoolExecutor(len(halves)) as pool, httpx.Client(base_url=target.url, headers=target.headers) as client:
        waiting = [pool.submit(stay, half) for half in halves]
        assert client.get("/v1/videos", timeout=SECONDS).is_success, "while all of them wait"
        answers = [each.result() for each in waiting]
    assert {each.split(b"\r\n")[0].split(b" ")[1] for each in answers} == {b"408"}
    assert all(b'"code":"headers_too_slow"' in each or b'"code":"body_too_slow"' in each for each in answers)


def test_all_of_it_at_once_again_and_again_costs_no_memory(target: Target) -> None:
    requests = [request for _, request in corpus.refused()]

    def all_of_it() -> None:
        with ThreadPoolExecutor(16) as pool:
            assert {status // 100 for status, _ in pool.map(lambda each: answer(target, each), requests)} == {4}

    def costs_nothing() -> bool:
        before = target.megabytes
        all_of_it()
        return target.megabytes - before < MEGABYTES

    all_of_it()
    # An arena more for its threads is no leak: that would grow every time.
    assert any(costs_nothing() for _ in range(3))
    healthy = httpx.get(f"{target.url}/readyz", headers=target.headers, timeout=SECONDS)
    assert healthy.status_code == 200, healthy.text


def test_nothing_of_it_was_taken(target: Target, tmp_path: Path) -> None:
    for path in ("/v1/videos", "/v1/webhooks/deliveries"):
        made = httpx.get(f"{target.url}{path}", params={"limit": 100}, headers=target.headers).json()["data"]
        assert [each for each in made if each.get("seed") != 3] == [], "the study's two have that seed"
