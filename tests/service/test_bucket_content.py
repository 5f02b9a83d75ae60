"""The content of videos whose files lie in a bucket."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.dependencies import Resources
from service.settings import Settings
from tests.queues import Queue
from tests.s3_servers import BUCKET, KEYS, WAITS, S3Server, an_s3_server
from tests.service.calls import create
from tests.service.documented import check_documented
from tests.service.fake_worker import VIDEO, FakeWorker
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.object_store import ObjectStore


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with an_s3_server() as server:
        yield server


def in_bucket(settings: Settings, server: S3Server, folder: Path, **more: Any) -> Settings:
    return Settings(
        **{name: getattr(settings, name) for name in settings.model_fields_set}
        | {
            "storage_url": f"s3://{BUCKET}/{folder.name}",
            "storage_endpoint": server.endpoint,
            "storage_access_key": KEYS[0],
            "storage_secret_key": KEYS[1],
        }
        | more
    )


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, server: S3Server) -> Settings:
    return in_bucket(settings_in(tmp_path, redis_url), server, tmp_path)


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    assert settings.s3 is not None
    return ObjectStore(settings.s3, WAITS)


@pytest.fixture
def client(settings: Settings, store: ObjectStore) -> Iterator[TestClient]:
    resources = replace(Resources.open(settings), artifacts=store)
    with TestClient(create_app(settings, resources), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def worker(queue: Queue, store: ObjectStore) -> FakeWorker:
    return FakeWorker(queue, store, previews={"thumbnail": b"RIFF small"})  # type: ignore[arg-type]


@pytest.fixture
def path(client: TestClient, worker: FakeWorker) -> str:
    """Of the content of a completed video."""
    made = create(client)
    worker.run_one()
    return f"/v1/videos/{made['id']}/content"


def test_content_and_previews_come_through_the_service(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content) == (200, VIDEO)
    assert response.headers["content-type"] == "video/mp4"
    assert (response.headers["accept-ranges"], response.headers["x-content-type-options"]) == ("bytes", "nosniff")
    assert ".mp4" in response.headers["content-disposition"]
    assert client.get(f"{path}?variant=thumbnail").content == b"RIFF small"
    etag = response.headers["etag"]
    known = client.get(path, headers={"if-none-match": etag})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(VIDEO)))


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=-6", 4090, 4096), ("bytes=4000-", 4000, 4096), ("bytes=10-99999", 10, 4096)],
)
def test_a_range_gives_that_part(client: TestClient, path: str, asked: str, start: int, end: int) -> None:
    response = client.get(path, headers={"range": asked})
    assert (response.status_code, response.content) == (206, VIDEO[start:end])
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/4096"
    assert response.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=5000-", "bytes=9-1", "nonsense", "bytes=-", "bytes=-0", "bytes=x-1"])
def test_an_impossible_range_is_refused(client: TestClient, path: str, asked: str) -> None:
    response = client.get(path, headers={"range": asked})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */4096")
    assert response.json()["error"]["code"] == "range_not_satisfiable"


def test_several_ranges_a_foreign_unit_and_another_file_give_the_whole(client: TestClient, path: str) -> None:
    for headers in ({"range": "bytes=0-1,5-6"}, {"range": "items=0-1"}, {"range": "bytes=0-1", "if-range": '"other"'}):
        response = client.get(path, headers=headers)
        assert (response.status_code, response.content) == (200, VIDEO)


def test_a_file_larger_than_a_piece_is_sent_whole(
    client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.bucket_content.PIECE_BYTES", 1000)
    assert client.get(path).content == VIDEO
    assert client.get(path, headers={"range": "bytes=999-3001"}).content == VIDEO[999:3002]


def test_with_links_the_client_is_sent_to_the_bucket(
    settings: Settings, server: S3Server, store: ObjectStore, tmp_path: Path, path: str
) -> None:
    linking = in_bucket(settings, server, tmp_path, storage_link_seconds=60)
    with TestClient(create_app(linking, replace(Resources.open(linking), artifacts=store))) as client:
        response = client.get(path, follow_redirects=False)
        assert (response.status_code, response.headers["cache-control"]) == (307, "no-store")
        document = client.get("/openapi.json").json()
        for answer in (response, client.get(path, headers={"if-none-match": "*"}, follow_redirects=False)):
            assert check_documented(document, answer) == "GET /v1/videos/{video_id}/content"
        link = response.headers["location"]
        assert link.startswith(server.endpoint) and KEYS[1] not in link
        assert httpx.get(link).content == VIDEO
        assert httpx.get(link, headers={"range": "bytes=0-4"}).content == VIDEO[:5]
        head = client.head(path, follow_redirects=False)
        assert httpx.head(head.headers["location"]).headers["content-length"] == str(len(VIDEO))


def test_a_deleted_video_leaves_nothing_in_the_bucket(
    client: TestClient, path: str, server: S3Server, tmp_path: Path
) -> None:
    assert len(server.names(tmp_path.name)) == 2
    assert client.delete(path.removesuffix("/content")).status_code == 200
    assert server.names(tmp_path.name) == []


def test_content_that_is_gone_is_not_content_that_cannot_be_reached(
    client: TestClient, path: str, server: S3Server, tmp_path: Path
) -> None:
    with server.hanging():
        begun = time.monotonic()
        response = client.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "storage_unavailable")
        assert "retry-after" in response.headers
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["storage"]["ok"]) == (503, False)
        assert client.get(path.removesuffix("/content")).json()["status"] == "completed"
        assert time.monotonic() - begun < 5 * (WAITS.request + WAITS.retry)
    wait_until(lambda: client.get(path).content == VIDEO)  # it may still be busy with what nobody waits for any more
    for name in server.names(tmp_path.name):
        server.client().delete_object(Bucket=BUCKET, Key=name)
    gone = client.get(path)
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "artifact_gone")


def test_a_video_is_deleted_also_while_its_bucket_cannot_be_reached(
    client: TestClient, path: str, server: S3Server, queue: Queue
) -> None:
    with server.hanging():
        assert client.delete(path.removesuffix("/content")).status_code == 200
        assert client.get(path).status_code == 404
    [due] = queue.leases.expired("wan-test")  # the workers delete its files
    assert due.job_id in path
