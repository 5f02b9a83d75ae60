"""Bodies that are too long, torn, or not what they say they are."""

import asyncio
import errno
import json
from collections.abc import Iterator
from itertools import chain, count, repeat
from tempfile import SpooledTemporaryFile

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Scope
from structlog.testing import capture_logs

from service import draining
from service.app import create_app
from service.limits import BODIES_BYTES, JSON_BYTES, MULTIPART_BYTES
from service.settings import Settings
from tests.queues import Queue

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=b"}


CHUNK = b"x" * 65_536
WHOLE = (
    '--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\na réd ball\r\n'
    '--b\r\ncontent-disposition: form-data; name="sf"\r\n\r\n12\r\n--b--\r\n'
).encode()


def part(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": True}


def stream(app: FastAPI, messages: Iterator[Message], headers: dict[str, str]) -> list[Message]:
    """Post a body straight into the app, message by message; returns what the app sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope_of(headers), receive, send))
    return sent


def scope_of(headers: dict[str, str]) -> Scope:
    raw = [(name.encode(), value.encode()) for name, value in ({"host": "localhost"} | headers).items()]
    return {"type": "http", "method": "POST", "path": "/v1/videos", "query_string": b"", "headers": raw}


@pytest.mark.parametrize(
    ("headers", "limit", "first"),
    [
        (JSON, JSON_BYTES, b'{"prompt": "'),
        ({}, JSON_BYTES, b""),
        (FORM, MULTIPART_BYTES, b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n'),
    ],
    ids=["json", "no type", "form"],
)
def test_a_body_that_declares_too_much_is_refused(
    client: TestClient, headers: dict[str, str], limit: int, first: bytes
) -> None:
    response = client.post("/v1/videos", content=first + b"x" * limit, headers=headers)
    expected = 413 if headers else 415
    assert response.status_code == expected
    if headers:
        assert str(limit) in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("first", "headers", "limit"),
    [
        (b'{"prompt": "', JSON, JSON_BYTES),
        (b'--b\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n', FORM, MULTIPART_BYTES),
    ],
    ids=["json", "form"],
)
def test_a_body_without_end_is_cut_off_at_the_cap(
    settings: Settings, first: bytes, headers: dict[str, str], limit: int
) -> None:
    taken = count()
    endless = (part(chunk) for chunk in chain([first], repeat(CHUNK)) if next(taken) is not None)
    start, body = stream(create_app(settings), endless, headers)
    error = json.loads(body["body"])["error"]
    assert (start["status"], error["code"]) == (413, "body_too_large")
    assert str(limit) in error["message"]
    assert next(taken) <= limit / len(CHUNK) + 2


def test_a_client_that_leaves_in_mid_body_makes_no_job_and_no_error(settings: Settings, queue: Queue) -> None:
    with capture_logs() as lines:
        left = iter([part(b'{"prompt": "a"'), {"type": "http.disconnect"}])
        assert stream(create_app(settings), left, JSON) == []
    assert [(line["event"], line["log_level"], line["status"]) for line in lines] == [("request", "info", 499)]
    assert queue.inspection.depth("wan-test").queued == 0


def test_a_large_form_below_the_cap_is_read(client: TestClient) -> None:
    response = client.post(
        "/v1/videos", data={"prompt": "a"}, files={"input_reference": b"x" * (MULTIPART_BYTES - 2048)}
    )
    assert response.json()["error"]["param"] == "input_reference"


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", JSON),
        (b"{", JSON),
        (b'{"prompt": "a"} tail', JSON),
        (b'{"prompt": "\xff"}', JSON),
        (b'{"prompt": "\\ud800"}', JSON),
        (b'{"prompt": "a", "guidance": NaN}', JSON),
        (b"[" * 100_000, JSON),
        (b'["a red ball"]', JSON),
        (b'"a red ball"', JSON),
        (b"null", JSON),
        (b"garbage", FORM),
        (b"--b\r\n\r\nno disposition\r\n--b--\r\n", FORM),
        (b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\ntorn', {"content-type": "multipart/form-data"}),
        (b"".join(b'--b\r\ncontent-disposition: form-data; name="f%d"\r\n\r\n\r\n' % i for i in range(200)), FORM),
    ],
)
def test_a_malformed_body_is_a_bad_request(
    client: TestClient, queue: Queue, content: bytes, headers: dict[str, str]
) -> None:
    response = client.post("/v1/videos", content=content, headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (400, "malformed_body", "invalid_request_error")
    assert queue.inspection.depth("wan-test").queued == 0


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'{"prompt": "a", "sf": 4, "sf": 10}', "sf"),
        (b'{"prompt": "a", "prompt": "a"}', "prompt"),
        (b'{"prompt": "a", "metadata": {"k": "1", "\\u006b": "2"}}', "k"),
    ],
)
def test_json_that_says_something_twice_is_refused(client: TestClient, content: bytes, name: str) -> None:
    response = client.post("/v1/videos", content=content, headers=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "malformed_body")
    assert f"'{name}' was sent more than once" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers", [{"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {}]
)
def test_a_body_of_another_type_is_refused_naming_the_two_that_are_read(
    client: TestClient, headers: dict[str, str]
) -> None:
    response = client.post("/v1/videos", content=b"prompt=a", headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (415, "unsupported_media_type")
    assert "application/json, multipart/form-data" in error["message"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"', "us-ascii"])
def test_a_charset_that_is_utf_8_does_no_harm(client: TestClient, charset: str) -> None:
    headers = {"content-type": f"Application/JSON; charset={charset}"}
    assert client.post("/v1/videos", content=b'{"prompt": "a"}', headers=headers).status_code == 200
    form = {"content-type": f"{FORM['content-type']}; charset={charset}"}
    assert client.post("/v1/videos", content=WHOLE, headers=form).json()["prompt"] == "a réd ball"


@pytest.mark.parametrize("charset", ["undefined", "utf-16", "latin-1", "base64", "nonsense", "idna"])
@pytest.mark.parametrize("headers", [JSON, FORM], ids=["json", "form"])
def test_another_charset_is_refused_by_name(client: TestClient, headers: dict[str, str], charset: str) -> None:
    headers = {"content-type": f"{headers['content-type']}; charset={charset}"}
    response = client.post("/v1/videos", content=WHOLE, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert f"'{charset}'" in response.json()["error"]["message"]


def test_a_form_that_is_cut_anywhere_is_refused(client: TestClient, queue: Queue) -> None:
    whole = WHOLE.removesuffix(b"\r\n")
    for end in range(len(whole)):
        response = client.post("/v1/videos", content=whole[:end], headers=FORM)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "malformed_body"), whole[:end]
    assert queue.inspection.depth("wan-test").queued == 0
    assert client.post("/v1/videos", content=whole, headers=FORM).status_code == 200


@pytest.mark.parametrize("name", [b"prompt", b"metadata[\xe9]"])
def test_a_form_whose_text_is_not_utf_8_is_refused(client: TestClient, name: bytes) -> None:
    content = b'--b\r\ncontent-disposition: form-data; name="%s"\r\n\r\na r\xe9d ball\r\n--b--\r\n' % name
    response = client.post("/v1/videos", content=content, headers=FORM)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "malformed_body")
    assert "not UTF-8" in response.json()["error"]["message"]


def test_a_boundary_may_have_any_characters(client: TestClient) -> None:
    content = WHOLE.replace(b"--b", b"--it's a (boundary)")
    headers = {"content-type": 'multipart/form-data; boundary="it\'s a (boundary)"'}
    assert client.post("/v1/videos", content=content, headers=headers).json()["prompt"] == "a réd ball"


def test_a_full_disk_under_an_upload_is_said_to_be_one(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SpooledTemporaryFile, "write", full)
    response = client.post("/v1/videos", data={"prompt": "a"}, files={"input_reference": b"x"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "storage_full")
    assert response.headers["retry-after"]


def test_bodies_that_are_too_much_together_are_told_to_come_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other is begun and not ended; each declares the most that a form may have."""
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0)
    app = create_app(settings)
    form = FORM | {"content-length": str(MULTIPART_BYTES)}
    fitting = BODIES_BYTES // MULTIPART_BYTES

    async def run() -> list[list[Message]]:
        leave = asyncio.Event()

        async def post() -> list[Message]:
            sent: list[Message] = []

            async def receive() -> Message:
                await leave.wait()
                return {"type": "http.disconnect"}

            async def send(message: Message) -> None:
                sent.append(message)

            await app(scope_of(form), receive, send)
            return sent

        begun = [asyncio.create_task(post()) for _ in range(fitting)]
        await asyncio.sleep(0)
        refused = [await post(), await post()]
        leave.set()
        await asyncio.gather(*begun)
        return [*refused, await post()]

    *refused, later = asyncio.run(run())
    for start, body, _end in refused:
        assert (start["status"], json.loads(body["body"])["error"]["code"]) == (503, "overloaded")
        assert dict(start["headers"])[b"retry-after"] == b"5"
    assert later == [], "the room of those that ended is there again"
