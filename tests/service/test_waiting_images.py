"""Calls that wait for their images: how many may, and for how long."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio import CapacityLimiter
from fastapi.testclient import TestClient

from service.app import create_app
from service.dependencies import Resources
from service.settings import Settings
from tests.queues import Queue
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker
from tests.service.settings import settings_in
from tests.waiting import wait_until


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """With room for two calls."""
    with TestClient(create_app(settings, replace(Resources.open(settings), image_calls=CapacityLimiter(2)))) as client:
        yield client


def post(client: TestClient) -> Any:
    return client.post("/v1/images/generations", json={"prompt": "a red ball"})


def test_a_call_more_than_may_wait_is_told_to_come_back_and_makes_no_job(
    client: TestClient, settings: Settings, queue: Queue
) -> None:
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(post, client) for _ in range(2)]
        wait_until(lambda: queue.inspection.depth(IMAGE_MODEL).queued == 2)
        refused = post(client)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"]
        assert queue.inspection.depth(IMAGE_MODEL).queued == 2
        worker = image_worker(settings, queue)
        for _ in range(2):
            worker.run_one()
        assert {call.result().status_code for call in waiting} == {200}
        later = pool.submit(post, client)
        wait_until(lambda: queue.inspection.depth(IMAGE_MODEL).queued == 1)
        worker.run_one()
        assert later.result().status_code == 200


def test_images_that_are_not_made_in_time_are_cancelled_and_the_client_is_told(
    settings: Settings, queue: Queue
) -> None:
    hasty = replace(Resources.open(settings), image_seconds=0.2)
    with TestClient(create_app(settings, hasty)) as client:
        response = post(client)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert "0.2 s" in response.json()["error"]["message"]
    assert response.headers["x-should-retry"] == "false"
    assert queue.inspection.depth(IMAGE_MODEL).queued == 0
