"""Jobs of a model that was taken out of the catalogue are seen wherever jobs are seen."""

from fastapi.testclient import TestClient

from service.app import create_app
from service.served import known_models
from service.settings import Settings
from service.status import read
from tests.queues import Queue
from tests.service.fake_worker import MODEL
from tests.waiting import wait_until
from tests.workers.factories import a_request, submit
from workers.jobs import keys
from workers.jobs.job import JobKey, Priority, new_job_id


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
