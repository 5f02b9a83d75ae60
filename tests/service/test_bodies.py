"""Bodies that are too long, torn, or not what they say they are."""

import asyncio
import json
from collections.abc import Iterator
from itertools import chain, count, repeat

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message
from structlog.testing import capture_logs

from service.app import create_app
from service.limits import JSON_BYTES, MULTIPART_BYTES
from service.settings import Settings
from tests.queues import Queue

JSON = {"content-type": "application/json"}
FORM = {"content-type": "multipart/form-data; boundary=b"}


CHUNK = b"x" * 65_536


def part(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": True}


def stream(app: FastAPI, messages: Iterator[Message], headers: dict[str, str]) -> list[Message]:
    """Post a body straight into the app, message by message; returns what the app sends."""
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/videos", "query_string": b"", "headers": raw}
    asyncio.run(app(scope, receive, send))
    return sent


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
    "headers", [{"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {}]
)
def test_a_body_of_another_type_is_refused_naming_the_two_that_are_read(
    client: TestClient, headers: dict[str, str]
) -> None:
    response = client.post("/v1/videos", content=b"prompt=a", headers=headers)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (415, "unsupported_media_type")
    assert "application/json, multipart/form-data" in error["message"]


def test_a_charset_beside_the_content_type_does_no_harm(client: TestClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/v1/videos", content=b'{"prompt": "a"}', headers=headers).status_code == 200
