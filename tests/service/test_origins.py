"""No web page but the service's own reaches it through a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.image_model import MODELS, live_image_worker
from tests.service.settings import settings_in
from workers.configuration import ConfigurationError

FORM = {"prompt": (None, "a red ball")}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    hosts = ("localhost", "Video.example.com", "*.internal.example")
    settings = settings_in(tmp_path, redis_url, *MODELS)
    return settings.model_copy(update={"trusted_hosts": hosts, "public_url": "https://gateway.example.com/video"})


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url="http://localhost:8000") as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "172.20.0.3:8000", "video.example.com"),
        *("gateway.example.com", "a.internal.example", "b.a.internal.example:443"),
    ],
)
def test_its_own_names_and_addresses_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/v1/videos", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "evil.example:8000", "127.0.0.1.evil.example", "example.com"),
        *("internal.example", "evilinternal.example", "", "[", "localhost@evil.example", "127.1", "0x7f.1", "a b"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/videos", "/healthz", "/metrics", "/docs", "/nowhere"])
def test_any_other_name_is_refused(client: TestClient, host: str, path: str) -> None:
    response = client.get(path, headers={"host": host})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "host_not_trusted")
    assert "localhost" in error["message"] and "SCALINGCACHE_TRUSTED_HOSTS" in error["message"]
    assert response.headers["x-request-id"]


def test_two_hosts_are_none(client: TestClient) -> None:
    assert client.get("/healthz", headers=[("host", "localhost"), ("host", "evil.example")]).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost"},  # another port is another origin
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_origin_makes_no_job(client: TestClient, queue: Queue, headers: dict[str, str]) -> None:
    response = client.post("/v1/videos", files=FORM, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert queue.inspection.depth("wan-test").queued == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"},
        {"origin": "https://gateway.example.com"},
        {"sec-fetch-site": "none"},
    ],
)
def test_its_own_pages_and_programs_may_call_it(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/videos", files=FORM, headers=headers).status_code == 200


def test_with_a_star_any_name_is_answered(settings: Settings) -> None:
    anywhere = settings.model_copy(update={"trusted_hosts": ("*",)})
    with TestClient(create_app(anywhere), base_url="http://evil.example") as client:
        assert client.get("/healthz").status_code == 200


def test_the_address_of_an_image_is_public_whatever_the_request_was_sent_to(
    client: TestClient, settings: Settings
) -> None:
    with live_image_worker(settings):
        body = {"prompt": "a", "response_format": "url"}
        answer: Any = client.post("/v1/images/generations", json=body, headers={"host": "6.6.6.6"}).json()
    [image] = answer["data"]
    assert image["url"] == f"https://gateway.example.com/video/v1/images/{image['id']}/content"


@pytest.mark.parametrize("url", ["gateway.example.com", "ftp://a", "https://", "https://a/?b=c"])
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SCALINGCACHE_PUBLIC_URL"):
        Settings(public_url=url)
