"""Jobs of a model that was taken out of the catalogue are seen wherever jobs are seen."""

from fastapi.testclient import TestClient

from service.app import create_app
from service.served import known_models
from service.settings import Settings
from service.status import read
from tests.queues import Queue
from tests.service.fake_worker import MODEL, FakeWorker
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from workers.jobs import keys
from workers.jobs.job import JobError, JobKey, Priority, new_job_id


def test_they_are_in_lists_metrics_status_and_readiness(client: TestClient, queue: Queue) -> None:
    job = submit(queue, a_request(model="gone"), tenant="default")
    queue.connection.commands.zadd(keys.MODELS, {"gone": 1})
    assert [video["id"] for video in client.get("/v1/videos").json()["data"]] == [job.id]
    assert 'scalingcache_queue_jobs{model="gone",state="queued"} 1.0' in client.get("/metrics").text
    models = known_models(queue.presence, [MODEL])
    assert [(load.model, load.queued) for load in read(queue.connection, models).queues] == [(MODEL, 0), ("gone", 1)]
    check = client.get("/readyz").json()["checks"]["jobs"]
    assert check == {"ok": True, "detail": "jobs wait for models that nobody serves: 1 of gone"}


def test_images_of_such_a_model_are_no_videos(client: TestClient, queue: Queue) -> None:
    image = JobKey("default", new_job_id("gone", "image"))
    queue.jobs.submit(image, priority=Priority.NORMAL, request=a_request(model="gone"), metadata={})
    queue.connection.commands.zadd(keys.MODELS, {"gone": 1})
    assert client.get("/v1/videos").json()["data"] == []


def test_a_service_says_what_it_serves(settings: Settings, queue: Queue) -> None:
    with TestClient(create_app(settings)):
        wait_until(lambda: queue.connection.commands.zscore(keys.MODELS, MODEL))
    assert queue.presence.unserved() == []


def test_a_model_that_no_worker_can_load_is_refused_with_the_code_of_the_cause_alone(
    client: TestClient, queue: Queue, worker: FakeWorker
) -> None:
    body = {"model": MODEL, "prompt": "a red ball"}
    first = client.post("/v1/videos", json=body, headers={"idempotency-key": "one"}).json()["id"]
    worker.fail_to_load("model_load_failed", "model wan-test from /secret/folder: no file")
    refused = client.post("/v1/videos", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert refused.json()["error"]["code"] == "model_unavailable"
    assert "(model_load_failed)" in refused.text and "secret" not in refused.text
    for key in ("two", "two"):
        assert client.post("/v1/videos", json=body, headers={"idempotency-key": key}).status_code == 503
    # What was accepted is still there, and is what a retry gets.
    assert client.post("/v1/videos", json=body, headers={"idempotency-key": "one"}).json()["id"] == first

    queue.presence.announce("worker-2", [], "loading", {MODEL: "float32 on cpu"})
    assert client.post("/v1/videos", json=body).status_code == 200


def test_jobs_of_a_worker_whose_storage_fails_or_that_crashed_are_accepted_and_wait(
    client: TestClient, worker: FakeWorker
) -> None:
    for code in ("storage_failed", "worker_crashed"):
        worker.fail_to_load(code, "wait")
        assert client.post("/v1/videos", json={"model": MODEL, "prompt": "a red ball"}).status_code == 200


def test_one_model_of_a_worker_that_cannot_be_loaded_is_named_by_readiness_and_status(
    client: TestClient, queue: Queue
) -> None:
    problem = JobError(code="coefficients_mismatch", message="coefficient file /secret is cut")
    serves = {MODEL: "float32 on cpu", "other": "float32 on cpu"}
    queue.presence.announce("half", ["other"], "idle", serves, None, {MODEL: problem})
    check = client.get("/readyz").json()["checks"][f"worker:{MODEL}"]
    assert (check["ok"], check["detail"].split("; ")[1]) == (False, "half failed (coefficients_mismatch)")
    [shown] = read(queue.connection, [MODEL]).workers
    assert (shown.problem, shown.problems) == (
        None,
        {MODEL: "coefficients_mismatch: coefficient file /secret is cut"},
    )
    assert client.post("/v1/videos", json={"model": MODEL, "prompt": "a red ball"}).status_code == 503
