"""A remix: the settings of a video that has ended, with another prompt."""

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
from tests.service import fake_worker
from tests.service.calls import create
from tests.service.fake_worker import REPORT, FakeWorker
from tests.service.first_frames import MODELS, post
from tests.service.settings import settings_in
from workers.jobs import keys
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import Account, Basis, JobKey

TENANT = "default"
SETTINGS = {
    "size": "96x64", "frames": 9, "fps": 8, "steps": 20, "sf": 6, "guidance": 4.0, "flow_shift": 2.0, "seed": 11,
    "negative_prompt": "fog", "priority": "high", "metadata": {"team": "a"}, "truncate_prompt": False,
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def remix(client: TestClient, video_id: str, prompt: object = "a blue ball", **headers: str) -> Any:
    return client.post(f"/v1/videos/{video_id}/remix", json={"prompt": prompt}, headers=headers)


def completed(client: TestClient, worker: FakeWorker, **fields: Any) -> dict[str, Any]:
    video = create(client, **fields)
    worker.run_one()
    return video


def test_a_remix_has_all_settings_and_the_seed_of_its_source_and_another_prompt(
    client: TestClient, worker: FakeWorker, queue: Queue
) -> None:
    source = completed(client, worker, **SETTINGS)
    made = remix(client, source["id"]).json()
    assert made["prompt"] == "a blue ball" and made["remixed_from_video_id"] == source["id"]
    assert made["id"] != source["id"] and made["status"] == "queued"
    kept = (*SETTINGS, "model", "seconds")
    assert {name: made[name] for name in kept} == {name: source[name] for name in kept}
    old, new = (queue.jobs.get(JobKey(TENANT, video["id"])).request for video in (source, made))
    assert new == old.model_copy(update={"prompt": "a blue ball"})
    assert client.get(f"/v1/videos/{made['id']}").json()["remixed_from_video_id"] == source["id"]


def test_a_remix_rests_on_the_measured_runs_of_its_source(
    client: TestClient, worker: FakeWorker, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(method="covariance", basis=Basis(kind="measured", runs=5))
    monkeypatch.setattr(fake_worker, "REPORT", REPORT.model_copy(update={"account": account}))
    source = completed(client, worker)
    made = remix(client, source["id"]).json()
    assert queue.jobs.get(JobKey(TENANT, made["id"])).request.basis_runs == 5


def test_a_remix_of_a_remix_names_the_video_that_it_was_made_from(client: TestClient, worker: FakeWorker) -> None:
    first = remix(client, completed(client, worker)["id"]).json()
    worker.run_one()
    assert remix(client, first["id"], "green").json()["remixed_from_video_id"] == first["id"]


def test_a_remix_starts_from_the_same_image(
    client: TestClient, queue: Queue, settings: Settings, worker: FakeWorker
) -> None:
    store = ArtifactStore(settings.artifacts)
    source = post(client, a_file()).json()
    replace(worker, model="animator").run_one()
    made = remix(client, source["id"]).json()
    old, new = (JobKey(TENANT, video["id"]) for video in (source, made))
    assert store.reference(new).read_bytes() == store.reference(old).read_bytes()
    assert queue.jobs.get(new).request.input_reference == queue.jobs.get(old).request.input_reference
    store.reference(old).unlink()
    gone = remix(client, source["id"])
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "artifact_gone")


def test_a_video_that_failed_is_made_again_from_the_same_image(
    client: TestClient, queue: Queue, settings: Settings, worker: FakeWorker
) -> None:
    store = ArtifactStore(settings.artifacts)
    source = post(client, a_file()).json()
    animator = replace(worker, model="animator")
    animator.fail(animator.claim(), "generation_failed", "it failed")
    made = remix(client, source["id"], source["prompt"]).json()
    assert (made["status"], made["input_reference"]) == ("queued", source["input_reference"])
    old, new = (JobKey(TENANT, video["id"]) for video in (source, made))
    assert store.reference(new).read_bytes() == store.reference(old).read_bytes()
    assert queue.jobs.get(new).request == queue.jobs.get(old).request


def test_only_a_video_that_has_ended_and_can_be_read_has_a_remix(client: TestClient, queue: Queue) -> None:
    video = create(client)
    waits = remix(client, video["id"])
    assert (waits.status_code, waits.json()["error"]["code"]) == (422, "not_ready")
    client.post(f"/v1/videos/{video['id']}/cancel")
    assert remix(client, video["id"]).status_code == 200
    queue.connection.commands.hset(keys.job(video["id"]), "request", "{")
    damaged = remix(client, video["id"])
    assert (damaged.status_code, damaged.json()["error"]["code"]) == (422, "not_ready")
    assert "cannot be read" in damaged.json()["error"]["message"]
    assert remix(client, "video_wan-test_" + "0" * 32).status_code == 404


@pytest.mark.parametrize("prompt", ["", "  ", None, 7, "x" * 32_001])
def test_a_remix_needs_a_prompt(client: TestClient, worker: FakeWorker, prompt: object) -> None:
    answer = remix(client, completed(client, worker)["id"], prompt)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


def test_other_settings_than_the_prompt_are_refused_by_name(client: TestClient, worker: FakeWorker) -> None:
    source = completed(client, worker)
    answer = client.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "a", "seed": 3})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "seed")


def test_a_repeated_remix_is_the_same_job(client: TestClient, worker: FakeWorker) -> None:
    source = completed(client, worker)
    first = remix(client, source["id"], "a", **{"idempotency-key": "k"}).json()
    assert remix(client, source["id"], "a", **{"idempotency-key": "k"}).json()["id"] == first["id"]
    assert remix(client, source["id"], "b", **{"idempotency-key": "k"}).status_code == 422
    sdk = [remix(client, source["id"], "c", **{"x-stainless-retry-count": count}).json()["id"] for count in "011"]
    assert len(set(sdk)) == 1


def test_what_its_model_does_not_do_any_more_is_refused(
    client: TestClient, worker: FakeWorker, settings: Settings, tmp_path: Path
) -> None:
    source = completed(client, worker)
    (other := tmp_path / "other").mkdir()
    less = settings_in(other, settings.redis_url, *MODELS[1:]).model_copy(update={"artifacts": settings.artifacts})
    with TestClient(create_app(less)) as elsewhere:
        answer = remix(elsewhere, source["id"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
