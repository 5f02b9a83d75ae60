"""Images of the account: listed, looked at by their ids, estimated."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import REPORT, FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker, live_image_worker
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.job import JobKey


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FakeWorker:
    return image_worker(settings, queue)


@pytest.fixture
def images(client: TestClient, settings: Settings) -> list[str]:
    """Three that were made, the newest first, and a video beside them."""
    create(client)
    with live_image_worker(settings):
        answer = client.post("/v1/images/generations", json={"prompt": "a ball", "n": 3, "seed": 5, "sf": 12}).json()
    return sorted(image["id"] for image in answer["data"])


def listed(client: TestClient, **query: Any) -> Any:
    return client.get("/v1/images", params=query)


def test_images_are_listed_page_by_page_without_videos(client: TestClient, images: list[str]) -> None:
    page = listed(client, limit=2).json()
    rest = listed(client, limit=2, after=page["last_id"]).json()
    assert (page["object"], page["has_more"], rest["has_more"]) == ("list", True, False)
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][1]["id"])
    newest_first = [image["id"] for image in [*page["data"], *rest["data"]]]
    assert sorted(newest_first) == images
    assert [image["id"] for image in listed(client, order="asc").json()["data"]] == newest_first[::-1]
    assert {image["object"] for image in page["data"]} == {"image"}


@pytest.mark.parametrize(
    ("query", "count"),
    [({"status": "completed"}, 3), ({"status": "failed"}, 0), ({"model": IMAGE_MODEL}, 3), ({"metadata[a]": "b"}, 0)],
)
def test_a_list_shows_what_is_asked_for(
    client: TestClient, images: list[str], query: dict[str, str], count: int
) -> None:
    assert len(listed(client, **query).json()["data"]) == count


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ({"model": "wan-test"}, "model", "'wan-test' is not one of those that make images: flux-test"),
        ({"stauts": "failed"}, "stauts", "unknown query parameter 'stauts'"),
        ({"limit": "0"}, "limit", "limit"),
    ],
)
def test_a_filter_that_is_none_is_refused_by_name(
    client: TestClient, query: dict[str, str], param: str, words: str
) -> None:
    error = listed(client, **query).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", param) and words in error["message"]


def test_an_image_is_looked_at_while_it_is_made_and_afterwards(client: TestClient, worker: FakeWorker) -> None:
    with ThreadPoolExecutor(1) as pool:
        body = {"prompt": "a ball", "seed": 5, "sf": 12, "deadline_seconds": 600}
        answer = pool.submit(client.post, "/v1/images/generations", json=body)
        attempt = wait_until(lambda: worker.queue.leases.claim([IMAGE_MODEL], worker.name))
        worker.queue.leases.beat(attempt, "denoise", 25)
        path = f"/v1/images/{attempt.job.id}"
        running = client.get(path).json()
        worker.complete(attempt)
        [made] = answer.result(timeout=30).json()["data"]
    assert (running["status"], running["progress"], running["setting"]) == ("in_progress", 50, None)
    assert running["deadline_at"] - running["created_at"] in (600, 601) and running["webhook_url"] is None
    shown = client.get(path).json()
    assert (shown["id"], shown["status"], shown["seed"], shown["sf"]) == (made["id"], "completed", 5, 12)
    assert shown["setting"] == made["setting"] == "sf 12, 50 steps"
    assert shown["scene"] == made["scene"] == running["scene"]
    for other in (path.replace("image_", "video_"), path[:-1] + "x", "/v1/images/generations"):
        missing = client.get(other)
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_a_remix_of_an_image_has_all_its_settings_those_too_that_no_answer_repeats(
    client: TestClient, settings: Settings, queue: Queue
) -> None:
    asked = {"prompt": "a ball", "seed": 5, "target_speedup": 2.5, "basis_runs": 3, "allow_uncalibrated": True}
    with live_image_worker(settings):
        [source] = client.post("/v1/images/generations", json=asked).json()["data"]
        body = {"prompt": "a cube", "response_format": "url"}
        answer = client.post(f"/v1/images/{source['id']}/remix", json=body).json()
    old, new = (queue.jobs.get(JobKey("default", each["id"])).request for each in (source, *answer["data"]))
    assert (old.full_steps, old.basis_runs) == (20, 3)
    assert new == old.model_copy(update={"prompt": "a cube"}) and answer["data"][0]["url"]
    missing = client.post(f"/v1/images/{source['id'][:-1]}x/remix", json=body)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


def test_an_image_is_estimated_by_those_that_were_made(client: TestClient, images: list[str], queue: Queue) -> None:
    body = {"prompt": "a ball", "sf": 12, "n": 4}
    known = client.post("/v1/images:estimate", json=body).json()
    assert (known["object"], known["model"], known["size"]) == ("image.estimate", IMAGE_MODEL, "64x64")
    assert (known["measured_jobs"], known["measured_at_this_size"]) == (3, True)
    assert known["run_seconds"] == pytest.approx(sum(REPORT.timings.values())), "as those before"
    assert "frames" not in known and queue.inspection.depth(IMAGE_MODEL).queued == 0, "nothing was made"


@pytest.mark.parametrize(("fields", "param"), [({"sf": 1}, "sf"), ({"n": 11}, "n"), ({"model": "wan-test"}, "model")])
def test_what_would_be_refused_is_refused(client: TestClient, fields: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/images:estimate", json={"prompt": "a ball"} | fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
