"""Identical requests with a seed are computed once; each client has a job, a result and an end of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import MODEL, VIDEO, FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker
from tests.service.settings import settings_in
from tests.waiting import wait_until


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def video(client: TestClient, made: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = client.get(f"/v1/videos/{made['id']}").json()
    return shown


def test_a_result_that_is_shared_outlives_the_video_that_was_computed(client: TestClient, worker: FakeWorker) -> None:
    first, second = create(client, seed=7), create(client, seed=7, metadata={"team": "b"}, priority="high")
    assert (first["result_of"], second["result_of"]) == (None, first["id"])
    worker.run_one()
    assert [video(client, each)["status"] for each in (first, second)] == ["completed"] * 2
    shown = video(client, second)
    assert (shown["result_of"], shown["metadata"], shown["full_steps"]) == (first["id"], {"team": "b"}, 20)
    assert client.delete(f"/v1/videos/{first['id']}").json()["deleted"]
    assert client.get(f"/v1/videos/{first['id']}/content").status_code == 404
    assert client.get(f"/v1/videos/{second['id']}/content").content == VIDEO
    again = create(client, seed=7)
    assert again["result_of"] is None, "what has ended is not taken"


def test_one_that_comes_after_the_start_has_waited_for_nothing(client: TestClient, worker: FakeWorker) -> None:
    create(client, seed=7)
    attempt = worker.claim()
    late = create(client, seed=7)
    assert (late["status"], late["timings"]["queued"]) == ("in_progress", 0)
    assert client.post(f"/v1/videos/{late['id']}/cancel").json()["state"] == "cancelled"
    worker.complete(attempt)
    cancelled = [
        sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "scalingcache_queued_jobs_cancelled_total" and sample.labels["model"] == MODEL
    ]
    assert cancelled == [1]


@pytest.mark.parametrize("fields", [{}, {"seed": 7, "reuse": "never"}])
def test_without_a_seed_or_where_it_is_not_wanted_each_is_computed(
    client: TestClient, queue: Queue, fields: dict[str, Any]
) -> None:
    assert create(client, seed=7)["result_of"] is None
    assert create(client, **fields)["result_of"] is None
    assert queue.inspection.depth(MODEL).queued == 2


def test_what_may_not_be_shared_is_not_shared_by_later_ones(client: TestClient) -> None:
    create(client, seed=7, reuse="never")
    assert create(client, seed=7)["result_of"] is None


def test_the_same_remix_twice_is_computed_once(client: TestClient, worker: FakeWorker) -> None:
    source = create(client)
    worker.run_one()
    one, other = (
        client.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "a blue ball"}).json() for _ in range(2)
    )
    assert other["result_of"] == one["id"]


def test_images_of_two_calls_are_computed_once(client: TestClient, queue: Queue, settings: Settings) -> None:
    body = {"prompt": "a red ball", "model": IMAGE_MODEL, "seed": 7, "response_format": "url", "n": 2}
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(client.post, "/v1/images/generations", json=body) for _ in range(2)]
        wait_until(lambda: len(queue.jobs.list("default", [IMAGE_MODEL], after=None, limit=9, ascending=True)[0]) == 4)
        assert queue.inspection.depth(IMAGE_MODEL).queued == 2
        worker = image_worker(settings, queue)
        for _ in range(2):
            worker.run_one()
        images = [image for call in calls for image in call.result().json()["data"]]
    computed = {image["id"] for image in images if image["result_of"] is None}  # the two calls may come mixed
    assert len(computed) == 2
    assert {image["result_of"] for image in images} == computed | {None}


def test_it_is_counted(client: TestClient) -> None:
    for _ in range(3):
        create(client, seed=7)
    samples = [
        sample
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "scalingcache_jobs_shared_total"
    ]
    assert {sample.labels["model"]: sample.value for sample in samples}[MODEL] == 2


def test_an_unknown_wish_is_refused(client: TestClient) -> None:
    error = client.post("/v1/videos", json={"prompt": "a", "reuse": "always"}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "reuse")
    assert "in_flight" in error["message"] and "never" in error["message"]
