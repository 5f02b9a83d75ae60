"""A video's life over HTTP, with a worker that has no model."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import REPORT, FakeWorker

HEX = "0" * 32


def create(client: TestClient, **fields: Any) -> str:
    response = client.post("/v1/videos", json={"prompt": "a red ball"} | fields)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def retrieve(client: TestClient, video_id: str) -> dict[str, Any]:
    response = client.get(f"/v1/videos/{video_id}")
    assert response.status_code == 200, response.text
    video: dict[str, Any] = response.json()
    return video


def test_a_video_is_queued_until_a_worker_really_starts_it(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    assert (retrieve(client, video_id)["status"], retrieve(client, video_id)["worker"]) == ("queued", None)
    worker.claim()
    video = retrieve(client, video_id)
    assert (video["status"], video["state"], video["progress"]) == ("in_progress", "running", 0)
    assert (video["worker"], video["attempts"], video["queue_position"]) == ("worker-1", 1, None)
    assert video["timings"]["queued"] >= 0


def test_progress_is_the_steps_done(client: TestClient, worker: FakeWorker, queue: Queue) -> None:
    video_id = create(client, steps=50)
    attempt = worker.claim()
    seen = []
    for step in (1, 10, 25, 49, 50):
        queue.leases.beat(attempt, "denoise", step)
        seen.append(retrieve(client, video_id)["progress"])
    worker.complete(attempt)
    assert [*seen, retrieve(client, video_id)["progress"]] == [2, 20, 50, 98, 99, 100]


def test_a_completed_video_says_what_the_cache_did(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    worker.run_one()
    video = retrieve(client, video_id)
    assert (video["status"], video["progress"], video["error"]) == ("completed", 100, None)
    assert (video["full_steps"], video["cached_steps"], video["decisions"]) == (20, 30, REPORT.decisions)
    assert video["speedup"] == {"measured": 2.25, "estimated": 2.5}
    assert (video["engaged"], video["reason"]) == (True, None)
    assert (video["timings"]["encode"], video["timings"]["denoise"], video["timings"]["upload"]) == (0.1, 4.0, 0.01)
    assert isinstance(video["completed_at"], int) and video["expires_at"] > video["completed_at"]


def test_a_failed_video_is_answered_with_200_and_an_error_inside(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    worker.fail(worker.claim(), "out_of_memory", "the device has too little memory")
    video = retrieve(client, video_id)
    assert (video["status"], video["state"]) == ("failed", "failed")
    assert video["error"] == {"code": "out_of_memory", "message": "the device has too little memory"}


def test_a_video_that_failed_on_all_attempts_is_failed_and_dead(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    for _ in range(3):
        worker.fail(worker.claim(), "worker_crashed", "the worker died", 3)
    video = retrieve(client, video_id)
    assert (video["status"], video["state"], video["attempts"]) == ("failed", "dead", 3)
    assert video["error"]["code"] == "worker_crashed"


def test_a_waiting_video_is_cancelled_at_once(client: TestClient, queue: Queue) -> None:
    video_id = create(client)
    response = client.post(f"/v1/videos/{video_id}/cancel")
    assert (response.status_code, response.json()["status"], response.json()["state"]) == (200, "failed", "cancelled")
    assert response.json()["error"]["code"] == "cancelled"
    assert queue.leases.claim(["wan-test"], "w") is None


def test_a_running_video_is_cancelled_whatever_its_worker_says_later(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    attempt = worker.claim()
    assert client.post(f"/v1/videos/{video_id}/cancel").json()["status"] == "in_progress"
    assert worker.queue.leases.beat(attempt) == "stop"
    worker.complete(attempt)
    video = retrieve(client, video_id)
    assert (video["status"], video["state"], video["error"]["code"]) == ("failed", "cancelled", "cancelled")


def test_cancelling_a_completed_video_changes_nothing(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    worker.run_one()
    response = client.post(f"/v1/videos/{video_id}/cancel")
    assert (response.status_code, response.json()["state"]) == (200, "completed")


def test_a_deleted_video_is_gone_with_its_file_and_prompt(
    client: TestClient, worker: FakeWorker, settings: Settings
) -> None:
    video_id = create(client)
    worker.run_one()
    response = client.delete(f"/v1/videos/{video_id}")
    assert response.json() == {"id": video_id, "object": "video.deleted", "deleted": True}
    for path in ("", "/content"):
        assert client.get(f"/v1/videos/{video_id}{path}").status_code == 404
    assert client.delete(f"/v1/videos/{video_id}").status_code == 404
    assert not [path for path in settings.artifacts.rglob("*") if path.is_file()]
    assert client.get("/v1/videos").json()["data"] == []


def test_deleting_a_running_video_stops_its_worker(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)
    attempt = worker.claim()
    assert client.delete(f"/v1/videos/{video_id}").json()["deleted"] is True
    assert client.get(f"/v1/videos/{video_id}").status_code == 404
    assert worker.queue.leases.beat(attempt) == "stop"


def test_the_list_has_newest_first_and_pages_through_all(client: TestClient) -> None:
    ids = [create(client) for _ in range(7)]
    for order, expected in (("desc", ids[::-1]), ("asc", ids)):
        seen: list[str] = []
        page: dict[str, Any] = {"has_more": True, "last_id": None}
        while page["has_more"]:
            query: dict[str, Any] = {"limit": 3, "order": order} | (
                {"after": page["last_id"]} if page["last_id"] else {}
            )
            page = client.get("/v1/videos", params=query).json()
            assert (page["object"], page["first_id"]) == ("list", page["data"][0]["id"])
            assert page["last_id"] == page["data"][-1]["id"]
            seen += [video["id"] for video in page["data"]]
        assert seen == expected


def test_videos_outlive_the_process_that_accepted_them(client: TestClient, settings: Settings) -> None:
    video_id = create(client)
    with TestClient(create_app(settings)) as restarted:
        assert retrieve(restarted, video_id)["status"] == "queued"


def test_an_empty_list_has_all_its_keys(client: TestClient) -> None:
    empty: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert client.get("/v1/videos").json() == empty


@pytest.mark.parametrize(
    "video_id",
    ["video_nothing", f"video_wan-test_{HEX}", f"video_other_{HEX}", f"image_wan-test_{HEX}", "%2e%2e"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/content"), ("POST", "/cancel")])
def test_an_id_that_is_not_there_is_not_found(client: TestClient, video_id: str, method: str, path: str) -> None:
    response = client.request(method, f"/v1/videos/{video_id}{path}")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (404, "not_found", "invalid_request_error")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/videos/edits"),
        ("POST", "/v1/videos/extensions"),
        ("POST", "/v1/videos/characters"),
        ("GET", "/v1/videos/characters/char_1"),
    ],
)
def test_calls_of_openai_that_are_not_served_say_so(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path, json={"prompt": "a"} if method == "POST" else None)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "not_supported")
    assert path in error["message"]
