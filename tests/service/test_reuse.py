"""A request that agrees to it gets a result that is kept, where that is what would be computed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.images import a_file
from tests.queues import Queue
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.calls import create
from tests.service.fake_worker import MODEL, VIDEO, FakeWorker
from tests.service.first_frames import MODELS as FRAME_MODELS
from tests.service.first_frames import post
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker, live_image_worker
from tests.service.settings import settings_in
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.versions import Version

VERSION = Version("torch-1", "learnt-1")
WISH: dict[str, Any] = {"seed": 7, "reuse": "completed"}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    models = {model.name: model for model in (*MODELS, *FRAME_MODELS)}.values()
    return with_keys(settings_in(tmp_path, redis_url, *models), tmp_path)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        client.headers |= bearer(a_key(settings))
        yield client


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FakeWorker:
    worker = FakeWorker(queue, ArtifactStore(settings.artifacts), version=VERSION)
    worker.announce()
    return worker


@pytest.fixture
def source(client: TestClient, worker: FakeWorker) -> dict[str, Any]:
    """A video that was computed, by the version that the worker goes on to announce."""
    made = create(client, seed=7)
    worker.run_one()
    return made


def waiting(queue: Queue) -> int:
    return queue.inspection.depth(MODEL).queued


def content(client: TestClient, video: dict[str, Any]) -> bytes:
    return client.get(f"/v1/videos/{video['id']}/content").content


def test_an_equal_request_is_answered_at_once_with_the_result(
    client: TestClient, queue: Queue, source: dict[str, Any]
) -> None:
    again = create(client, **WISH, metadata={"team": "b"}, priority="high")
    assert (again["status"], again["progress"], again["result_of"]) == ("completed", 100, source["id"])
    assert (again["full_steps"], again["metadata"], again["attempts"]) == (20, {"team": "b"}, 0)
    assert again["id"] != source["id"] and content(client, again) == VIDEO
    assert waiting(queue) == 0
    used = client.get("/v1/usage").json()["total"]
    assert {name: used[name] for name in ("submitted", "completed", "shared", "full_steps")} == {
        "submitted": 2, "completed": 2, "shared": 1, "full_steps": 20,
    }  # fmt: skip


def test_it_has_a_life_of_its_own(client: TestClient, source: dict[str, Any]) -> None:
    again = create(client, **WISH)
    assert client.delete(f"/v1/videos/{source['id']}").json()["deleted"]
    assert content(client, again) == VIDEO
    assert again["expires_at"] >= again["completed_at"] + 86_000
    assert client.delete(f"/v1/videos/{again['id']}").json()["deleted"]


@pytest.mark.parametrize("fields", [{"seed": 8}, {"sf": 9}, {"prompt": "a blue ball"}, {"size": "64x64"}, {"fps": 8}])
def test_whatever_else_differs_is_computed(
    client: TestClient, queue: Queue, source: dict[str, Any], fields: dict[str, Any]
) -> None:
    assert create(client, **WISH | fields)["status"] == "queued"


def test_nobody_gets_it_who_has_not_asked_for_that(client: TestClient, queue: Queue, source: dict[str, Any]) -> None:
    assert create(client, seed=7)["result_of"] is None
    assert create(client, seed=7, reuse="never")["result_of"] is None
    assert waiting(queue) == 2


def test_another_accounts_result_is_computed_again(
    client: TestClient, settings: Settings, source: dict[str, Any]
) -> None:
    client.headers |= bearer(a_key(settings, "other"))
    assert create(client, **WISH)["status"] == "queued"


def test_a_result_that_was_deleted_is_computed_again(client: TestClient, source: dict[str, Any]) -> None:
    client.delete(f"/v1/videos/{source['id']}")
    assert create(client, **WISH)["status"] == "queued"


def test_a_result_whose_file_is_lost_or_cut_is_computed_again(
    client: TestClient, settings: Settings, source: dict[str, Any]
) -> None:
    [file] = settings.artifacts.rglob("video.mp4")
    file.write_bytes(VIDEO[:100])
    assert create(client, **WISH)["status"] == "queued"
    file.unlink()
    assert create(client, **WISH | {"reuse": "never"})["status"] == "queued"
    assert create(client, **WISH)["status"] == "queued"


@pytest.mark.parametrize("version", [Version("torch-2", "learnt-1"), Version("torch-1", "learnt-2"), None])
def test_what_no_worker_would_make_now_is_computed_again(
    client: TestClient, worker: FakeWorker, source: dict[str, Any], version: Version | None
) -> None:
    replace(worker, version=version).announce()
    assert create(client, **WISH)["status"] == "queued"


@pytest.mark.parametrize("version", [Version("torch-2", "learnt-1"), None])
def test_what_only_some_of_the_workers_would_make_is_computed_again(
    client: TestClient, worker: FakeWorker, source: dict[str, Any], version: Version | None
) -> None:
    other = replace(worker, name="worker-2", version=version)
    other.announce()
    assert create(client, **WISH)["status"] == "queued"
    other.queue.presence.leave(other.name)
    assert create(client, **WISH)["result_of"] == source["id"]


def test_without_a_worker_nobody_knows_what_would_be_made(
    client: TestClient, worker: FakeWorker, source: dict[str, Any]
) -> None:
    worker.queue.presence.leave(worker.name)
    assert create(client, **WISH)["status"] == "queued"


def test_what_was_learnt_since_does_not_count_where_nothing_is_predicted(
    client: TestClient, worker: FakeWorker
) -> None:
    source = create(client, seed=7, sf=50)
    worker.run_one()
    replace(worker, version=Version("torch-1", "learnt-2")).announce()
    assert create(client, **WISH, sf=50)["result_of"] == source["id"]


def test_one_that_has_a_result_of_another_is_none_that_others_get_it_from(
    client: TestClient, source: dict[str, Any]
) -> None:
    first, second = create(client, **WISH), create(client, **WISH)
    assert (first["result_of"], second["result_of"]) == (source["id"], source["id"])


def test_one_that_still_runs_is_waited_for(client: TestClient, worker: FakeWorker) -> None:
    running = create(client, seed=7)
    worker.claim()
    again = create(client, **WISH)
    assert (again["status"], again["result_of"]) == ("in_progress", running["id"])


def test_a_retry_gets_the_same_video(client: TestClient, source: dict[str, Any]) -> None:
    body, key = {"prompt": "a red ball", **WISH}, {"idempotency-key": "k"}
    first, second = (client.post("/v1/videos", json=body, headers=key).json() for _ in range(2))
    assert first["id"] == second["id"] != source["id"] and second["status"] == "completed"


def test_it_takes_no_place_in_a_full_queue(settings: Settings, worker: FakeWorker) -> None:
    full = settings.model_copy(update={"max_queued": 1})
    with TestClient(create_app(full), headers=bearer(a_key(settings))) as client:
        source = create(client, seed=7)
        worker.run_one()
        create(client)
        assert client.post("/v1/videos", json={"prompt": "another"}).status_code == 429
        assert create(client, **WISH)["result_of"] == source["id"]


def test_its_message_is_sent_and_its_stream_says_how_it_ended(
    client: TestClient, queue: Queue, source: dict[str, Any]
) -> None:
    client.post("/v1/webhooks/secrets")
    again = create(client, **WISH, webhook_url="https://backend.example.com/hooks")
    [delivery] = client.get("/v1/webhooks/deliveries").json()["data"]
    assert (delivery["type"], delivery["data"]) == ("video.completed", {"id": again["id"]})
    stream = client.get(f"/v1/videos/{again['id']}/events").text
    assert stream.count("event: ") == 1 and '"status":"completed"' in stream


def test_the_first_frame_is_part_of_the_request(client: TestClient, settings: Settings, queue: Queue) -> None:
    worker = FakeWorker(queue, ArtifactStore(settings.artifacts), model="animator", version=VERSION)
    worker.announce()
    source = post(client, a_file(), seed="7").json()
    worker.run_one()
    worker.announce()
    assert post(client, a_file(), seed="7", reuse="completed").json()["result_of"] == source["id"]
    worker.announce()
    other = post(client, a_file(color="blue"), seed="7", reuse="completed").json()
    assert (other["status"], other["result_of"]) == ("queued", None)


def test_images_are_answered_with_those_that_are_kept(client: TestClient, settings: Settings, queue: Queue) -> None:
    image_worker(settings, queue, VERSION).announce()
    body = {"prompt": "a red ball", "model": IMAGE_MODEL, **WISH, "response_format": "url"}
    with live_image_worker(settings, VERSION):
        first = client.post("/v1/images/generations", json=body | {"n": 2}).json()["data"]
    second = client.post("/v1/images/generations", json=body | {"n": 2}).json()["data"]
    assert [image["result_of"] for image in second] == [image["id"] for image in first]


def test_without_a_seed_the_wish_is_refused(client: TestClient) -> None:
    for path in ("/v1/videos", "/v1/images/generations"):
        error = client.post(path, json={"prompt": "a", "reuse": "completed"}).json()["error"]
        assert (error["code"], error["param"]) == ("invalid_request", "reuse") and "seed" in error["message"]
