"""As many jobs wait as may: the others are told when to come back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service import outlook
from service.app import create_app
from service.dependencies import Resources
from service.errors import response_of
from service.settings import Settings
from tests.images import a_file
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from tests.service.first_frames import MODELS, post
from tests.service.image_model import IMAGE_MODEL
from tests.service.image_model import MODELS as IMAGE_MODELS
from tests.service.settings import settings_in
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import QueueFull
from workers.jobs.job import Job, JobKey
from workers.jobs.queue import Jobs

BODY = {"prompt": "a red ball"}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    models = {model.name: model for model in (*MODELS, *IMAGE_MODELS)}.values()
    return settings_in(tmp_path, redis_url, *models).model_copy(update={"max_queued": 3})


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def test_one_more_than_may_wait_is_refused_until_one_is_started(client: TestClient, worker: FakeWorker) -> None:
    for _ in range(3):
        create(client)
    response = client.post("/v1/videos", json=BODY)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (429, "queue_full", "rate_limit_error")
    assert "3 jobs wait for wan-test" in error["message"]
    assert 1 <= int(response.headers["retry-after"]) <= 120
    worker.claim()
    create(client)


def test_it_is_told_to_come_again_when_the_next_job_starts(
    client: TestClient, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "FRESH_SECONDS", 0.0)
    create(client)
    worker.run_one()  # which takes 4.61 s by its report
    worker.announce()
    create(client)
    worker.claim()
    for _ in range(3):
        create(client)
    assert 2 <= int(client.post("/v1/videos", json=BODY).headers["retry-after"]) <= 5


def test_what_was_accepted_is_found_again_also_when_the_queue_is_full(client: TestClient) -> None:
    key = {"idempotency-key": "k"}
    first = client.post("/v1/videos", json=BODY, headers=key).json()["id"]
    for _ in range(2):
        create(client)
    assert client.post("/v1/videos", json=BODY, headers=key).json()["id"] == first
    refused = {"idempotency-key": "refused"}
    assert client.post("/v1/videos", json=BODY, headers=refused).status_code == 429
    client.delete(f"/v1/videos/{first}")
    assert client.post("/v1/videos", json=BODY, headers=refused).status_code == 200


def test_another_model_has_room_of_its_own(client: TestClient) -> None:
    for _ in range(3):
        create(client)
    assert post(client, a_file()).status_code == 200


def test_a_refused_job_leaves_no_image_behind(client: TestClient, settings: Settings) -> None:
    for _ in range(3):
        assert post(client, a_file()).status_code == 200
    files = set(settings.artifacts.rglob("*.png"))
    assert post(client, a_file()).status_code == 429
    assert set(settings.artifacts.rglob("*.png")) == files


class AnotherComesFirst(Jobs):
    """Another arrival of the same request is accepted; before this one there is no room left."""

    def submit(self, job: JobKey, **of_it: Any) -> Job:
        super().submit(job, **of_it)
        raise QueueFull("full", 1.0)


def test_a_refused_arrival_leaves_the_image_of_another_one_under_the_same_key(settings: Settings, queue: Queue) -> None:
    resources = replace(Resources.open(settings), jobs=AnotherComesFirst(queue.connection))
    with TestClient(create_app(settings, resources)) as client:
        assert post(client, a_file(), {"idempotency-key": "k"}).status_code == 429
    attempt = queue.leases.claim(["animator"], "w")
    assert attempt is not None
    assert ArtifactStore(settings.artifacts).read_reference(attempt.job.key)


def test_images_that_find_no_room_for_all_of_them_leave_none_waiting(client: TestClient, queue: Queue) -> None:
    assert client.post("/v1/images/generations", json=BODY | {"n": 5}).status_code == 429
    assert queue.inspection.depth(IMAGE_MODEL).queued == 0


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (1.2, "2"), (60, "60"), (1e9, "120")])
def test_the_wait_that_is_asked_for_is_one_that_clients_keep(seconds: float, header: str) -> None:
    assert response_of(QueueFull("full", seconds)).headers["retry-after"] == header
