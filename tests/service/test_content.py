"""The file of a video over HTTP."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.content import artifact_response
from service.settings import Settings
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import VIDEO, FakeWorker
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import JobKey


def test_content_is_the_file_with_its_type_and_name(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)["id"]
    worker.run_one()
    response = client.get(f"/v1/videos/{video_id}/content?variant=video")
    assert (response.status_code, response.content) == (200, VIDEO)
    assert response.headers["content-type"] == "video/mp4"
    assert f"{video_id}.mp4" in response.headers["content-disposition"]
    assert re.fullmatch(r'"[0-9a-f]{64}"', response.headers["etag"])


@pytest.mark.parametrize(
    ("asked", "content", "content_range"),
    [("bytes=0-9", VIDEO[:10], "bytes 0-9/4096"), ("bytes=-6", VIDEO[-6:], "bytes 4090-4095/4096")],
)
def test_a_range_gives_that_part(
    client: TestClient, worker: FakeWorker, asked: str, content: bytes, content_range: str
) -> None:
    video_id = create(client)["id"]
    worker.run_one()
    response = client.get(f"/v1/videos/{video_id}/content", headers={"range": asked})
    assert (response.status_code, response.content) == (206, content)
    assert response.headers["content-range"] == content_range


@pytest.mark.parametrize("asked", ["bytes=5000-", "bytes=9-1", "nonsense"])
def test_an_impossible_range_is_refused_in_the_common_shape(client: TestClient, worker: FakeWorker, asked: str) -> None:
    video_id = create(client)["id"]
    worker.run_one()
    response = client.get(f"/v1/videos/{video_id}/content", headers={"range": asked})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */4096")
    error = response.json()["error"]
    assert error["code"] == "range_not_satisfiable" and asked in error["message"] and "4096" in error["message"]


def test_an_unknown_variant_is_refused(client: TestClient) -> None:
    error = client.get(f"/v1/videos/{create(client)['id']}/content?variant=audio").json()["error"]
    assert error["param"] == "variant" and "'audio'" in error["message"] and "'thumbnail'" in error["message"]


def test_content_of_an_unfinished_video_is_refused_without_making_clients_retry(
    client: TestClient, worker: FakeWorker
) -> None:
    video_id = create(client)["id"]
    for state in ("queued", "running"):
        response = client.get(f"/v1/videos/{video_id}/content")
        assert (response.status_code, response.json()["error"]["code"]) == (422, "not_ready")
        assert state in response.json()["error"]["message"]
        if state == "queued":
            worker.claim()


def test_content_of_a_failed_video_is_refused_saying_so(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)["id"]
    worker.fail(worker.claim(), "out_of_memory", "too little memory")
    response = client.get(f"/v1/videos/{video_id}/content")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "not_ready")
    assert "failed" in response.json()["error"]["message"]


def test_content_whose_file_was_swept_is_gone(client: TestClient, worker: FakeWorker, settings: Settings) -> None:
    video_id = create(client)["id"]
    worker.run_one()
    for path in settings.artifacts.rglob("*.mp4"):
        path.unlink()
    response = client.get(f"/v1/videos/{video_id}/content")
    assert (response.status_code, response.json()["error"]["code"]) == (410, "artifact_gone")


@pytest.fixture
def video_id(client: TestClient, worker: FakeWorker) -> str:
    """Of a completed video."""
    made = create(client)
    worker.run_one()
    return str(made["id"])


def test_a_file_that_is_deleted_once_its_answer_is_made_is_sent_whole(
    client: TestClient, queue: Queue, settings: Settings, video_id: str
) -> None:
    response = artifact_response(queue.jobs.get(JobKey("default", video_id)), ArtifactStore(settings.artifacts))
    assert client.delete(f"/v1/videos/{video_id}").status_code == 200
    assert not [path for path in settings.artifacts.rglob("*") if path.is_file()]
    assert TestClient(response).get("/").content == VIDEO


@pytest.mark.parametrize("size", [0, 100, len(VIDEO) + 1])
def test_a_file_of_another_size_than_was_stored_is_no_result(
    client: TestClient, settings: Settings, video_id: str, size: int
) -> None:
    [path] = settings.artifacts.rglob("*.mp4")
    path.write_bytes(b"x" * size)
    response = client.get(f"/v1/videos/{video_id}/content")
    assert (response.status_code, response.json()["error"]["code"]) == (410, "artifact_gone")


def test_a_folder_in_place_of_the_file_is_no_result(client: TestClient, settings: Settings, video_id: str) -> None:
    [path] = settings.artifacts.rglob("*.mp4")
    path.unlink()
    Path(path).mkdir()
    assert client.get(f"/v1/videos/{video_id}/content").status_code == 410


@pytest.mark.parametrize("asked", ["items=0-1", "lines=1-2", "seconds=0-"])
def test_a_range_in_an_unknown_unit_is_ignored(client: TestClient, video_id: str, asked: str) -> None:
    response = client.get(f"/v1/videos/{video_id}/content", headers={"range": asked})
    assert (response.status_code, response.content) == (200, VIDEO)


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_a_client_that_has_the_file_is_told_so_in_place_of_the_file(
    client: TestClient, video_id: str, known: str
) -> None:
    path = f"/v1/videos/{video_id}/content"
    etag = client.get(path).headers["etag"]
    response = client.get(path, headers={"if-none-match": known.format(etag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    assert client.get(path, headers={"if-none-match": '"other"'}).content == VIDEO
    assert client.get(path, headers={"range": "bytes=0-1", "if-range": etag}).content == VIDEO[:2]
    assert client.get(path, headers={"range": "bytes=0-1", "if-range": '"other"'}).content == VIDEO


def test_head_tells_of_the_file_without_it(client: TestClient, video_id: str) -> None:
    path = f"/v1/videos/{video_id}/content"
    head, whole = client.head(path), client.get(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(VIDEO)))
    assert head.headers["etag"] == whole.headers["etag"]
