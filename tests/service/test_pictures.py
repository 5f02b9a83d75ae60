"""Images by URL: from listed hosts alone, at addresses that were looked at, within bounds."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.dependencies import Resources
from service.errors import NotSupported, Overloaded
from service.pictures import MOST_DOWNLOADS, Pictures
from service.reference import PictureURL
from service.settings import Settings
from tests.service.first_frames import BODY, MODELS
from tests.service.settings import settings_in
from workers.configuration import ConfigurationError
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import JobKey

LOOPBACK = [ip_network("127.0.0.0/8")]
METADATA = "169.254.169.254"


def a_png(color: str = "red") -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 64), color).save(file, "PNG")
    return file.getvalue()


class Host:
    """Serves what the test says under `/picture.png`; other paths misbehave. Counts what it was asked."""

    def __init__(self) -> None:
        self.content, self.asked, self.hosts = a_png(), list[str](), list[str]()
        self.go_on = threading.Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                host.hosts.append(self.headers["host"])
                with suppress(OSError):  # The client has left.
                    host.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/redirect":
            handler.send_response(302)
            handler.send_header("location", "/picture.png")
            handler.end_headers()
        elif handler.path == "/missing":
            handler.send_error(404)
        elif handler.path == "/slow":
            self.go_on.wait(60)
        elif handler.path == "/endless":
            handler.send_response(200)
            handler.end_headers()
            while True:
                handler.wfile.write(bytes(1 << 16))
        elif handler.path == "/cut":
            handler.send_response(200)
            handler.send_header("content-length", "1000")
            handler.end_headers()
            handler.wfile.write(b"half")
        else:
            handler.send_response(200)
            handler.send_header("content-length", str(len(self.content)))
            handler.end_headers()
            handler.wfile.write(self.content)

    def __enter__(self) -> "Host":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


async def here(name: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def pictures(host: Host, allowed: Any = LOOPBACK, resolve: Any = here, **bounds: Any) -> Pictures:
    return Pictures([f"images.test:{host.port}"], resolve, allowed, **bounds)


def url(host: Host, path: str = "/picture.png") -> PictureURL:
    return PictureURL(f"http://images.test:{host.port}{path}")


def download(loader: Pictures, picture: PictureURL) -> bytes:
    async def downloaded() -> bytes:
        try:
            upload = await loader.download(picture)
            with upload.file as file:
                file.seek(0)
                content = file.read()
            assert upload.sha256 == hashlib.sha256(content).hexdigest()
            return content
        finally:
            await loader.close()

    return asyncio.run(downloaded())


def test_what_lies_at_the_url_is_what_comes(host: Host) -> None:
    assert download(pictures(host), url(host)) == host.content
    assert (host.asked, host.hosts) == (["/picture.png"], [f"images.test:{host.port}"])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/redirect", "answered 302: redirects are not followed"),
        ("/missing", "answered 404"),
        ("/endless", "more than the 100000 bytes"),
        ("/cut", "cut off"),
        ("/slow", "did not come within 1 s"),
    ],
)
def test_what_is_no_whole_file_within_bounds_is_refused(host: Host, path: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refusal:
        download(pictures(host, most_bytes=100_000, seconds=1.0 if path == "/slow" else 60.0), url(host, path))
    assert (refusal.value.param, host.asked) == ("input_reference", [path])


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"], ["10.1.2.3"], ["192.168.0.1"], [METADATA], ["0.0.0.0"], ["100.64.0.1"], ["::1"], ["fc00::1"],
        ["fe80::1"], ["::ffff:127.0.0.1"], ["::ffff:10.0.0.1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["224.0.0.1"],
        ["93.184.216.34", "127.0.0.1"], [],
    ],
)  # fmt: skip
def test_a_listed_name_that_leads_to_an_address_that_is_not_public_is_not_called(
    host: Host, addresses: list[str]
) -> None:
    async def resolve(name: str, port: int) -> Sequence[str]:
        return addresses

    with pytest.raises(InvalidRequest, match="not public"):
        download(pictures(host, (), resolve), url(host))
    assert host.asked == []


def test_a_name_is_asked_for_once_and_its_next_answer_counts_for_nothing(host: Host) -> None:
    answers = [["127.0.0.1"], [METADATA]]

    async def resolve(name: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    assert download(pictures(host, resolve=resolve), url(host)) == host.content
    assert len(answers) == 1


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/x", "http://2130706433/x", "http://0x7f.1/x", "http://[::1]/x", "http://[::ffff:7f00:1]/x",
        "https://elsewhere.test/x", "https://images.test/x", "https://images.test:22/x", "https://test/x",
        "https://images.test.evil.example/x", "https://listed.example.evil.test/", "https://listed.example:8443/",
        "https://below.example/",
    ],
)  # fmt: skip
def test_a_host_that_is_not_listed_is_not_asked(host: Host, address: str) -> None:
    loader = Pictures([f"images.test:{host.port}", "listed.example", "*.below.example"], here, LOOPBACK)
    with pytest.raises(InvalidRequest, match="not downloaded from; allowed: images"):
        loader.check(PictureURL(address))


@pytest.mark.parametrize(
    "address",
    [
        "https://listed.example/a", "http://LISTED.example:80/a", "https://listed.example./a",
        "https://a.below.example/", "https://a.b.below.example:443/", "https://own.example:8443/",
    ],
)  # fmt: skip
def test_a_listed_host_is_known_in_each_way_to_write_it(address: str) -> None:
    loader = Pictures(["listed.example", "*.below.example", "own.example:8443"], here)
    assert loader.check(PictureURL(address)).hostname


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "ftp://listed.example/", "gopher://listed.example/", "//listed.example", "", "/etc/passwd",
     "https://user:pw@listed.example/", "https://listed.example\\@evil.test/", "https://listed.example/\r\nx: y",
     "https://listed.example#@evil.test"],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        Pictures(["listed.example"], here).check(PictureURL(address))
    assert refusal.value.param == "input_reference"


def test_without_a_list_nothing_is_downloaded() -> None:
    with pytest.raises(NotSupported, match="upload the file"):
        Pictures([], here).check(PictureURL("https://listed.example/"))


def test_more_downloads_than_there_may_be_at_a_time_are_refused_at_once(host: Host) -> None:
    async def many() -> list[Any]:
        loader = pictures(host, seconds=30)
        slow = [asyncio.ensure_future(loader.download(url(host, "/slow"))) for _ in range(MOST_DOWNLOADS)]
        while len(host.asked) < MOST_DOWNLOADS:
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await loader.download(url(host))
        host.go_on.set()
        ended = await asyncio.gather(*slow, return_exceptions=True)
        with (await loader.download(url(host))).file:
            pass
        await loader.close()
        return ended

    assert all(isinstance(each, InvalidRequest) for each in asyncio.run(many()))


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def client(settings: Settings, host: Host) -> Iterator[TestClient]:
    resources = replace(Resources.open(settings), pictures=pictures(host))
    with TestClient(create_app(settings, resources)) as client:
        yield client


def body(host: Host, **fields: Any) -> dict[str, Any]:
    return BODY | {"input_reference": {"image_url": url(host).url}} | fields


def test_a_video_starts_from_what_lies_at_its_url(client: TestClient, host: Host, settings: Settings) -> None:
    made = client.post("/v1/videos", json=body(host)).json()
    resources = client.app.state.resources  # type: ignore[attr-defined]
    job = resources.jobs.get(JobKey("default", made["id"]))
    assert job.request.input_reference == hashlib.sha256(host.content).hexdigest()
    with Image.open(BytesIO(ArtifactStore(settings.artifacts).read_reference(job.key))) as kept:
        assert (kept.size, kept.getpixel((0, 0))) == ((job.request.width, job.request.height), (255, 0, 0))


def test_what_is_no_image_is_refused_as_an_upload_is(client: TestClient, host: Host) -> None:
    host.content = b"<svg/>"
    error = client.post("/v1/videos", json=body(host)).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "input_reference")
    assert "cannot be read" in error["message"]


def test_a_request_that_is_wrong_otherwise_or_an_estimate_downloads_nothing(client: TestClient, host: Host) -> None:
    assert client.post("/v1/videos", json=body(host, sf=1)).status_code == 400
    assert client.post("/v1/videos:estimate", json=body(host)).status_code == 200
    elsewhere = {"input_reference": {"image_url": "https://elsewhere.test/"}}
    for path in ("/v1/videos", "/v1/videos:estimate"):
        assert client.post(path, json=BODY | elsewhere).status_code == 400
    assert host.asked == []


def test_a_retry_gives_the_job_that_was_made_whatever_lies_there_now(client: TestClient, host: Host) -> None:
    key = {"idempotency-key": "k"}
    first = client.post("/v1/videos", json=body(host), headers=key).json()
    host.content = b"something else"
    assert client.post("/v1/videos", json=body(host), headers=key).json()["id"] == first["id"]
    assert len(host.asked) == 1
    conflict = client.post("/v1/videos", json=body(host, prompt="another"), headers=key)
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (422, "idempotency_conflict")


@pytest.mark.parametrize("listed", ["*", "https://a.example", "a.example/b", "a b", "*.*.example:x"])
def test_a_list_of_hosts_is_names_alone(settings: Settings, listed: str) -> None:
    with pytest.raises(ConfigurationError, match="SCALINGCACHE_INPUT_HOSTS"):
        Settings(redis_url=settings.redis_url, authentication="none", input_hosts=listed)
    parsed = Settings(authentication="none", input_hosts="A.example, *.b.example")
    assert parsed.input_hosts == ("a.example", "*.b.example")
