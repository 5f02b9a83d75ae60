"""Images over HTTP, with a worker that has no model."""

from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient

from demo.embedded_redis import EmbeddedRedis
from service.app import create_app
from service.dependencies import Resources
from service.settings import Settings
from tests.queues import Queue
from tests.redis_servers import kill
from tests.service.fake_worker import REPORT, VIDEO, FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker, live_image_worker
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.events import Events
from workers.jobs.job import Job, JobKey, JobState, Priority
from workers.jobs.queue import Jobs


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FakeWorker:
    return image_worker(settings, queue)


@pytest.fixture
def live_worker(settings: Settings) -> Iterator[None]:
    with live_image_worker(settings):
        yield


def post(client: TestClient, **fields: Any) -> Any:
    return client.post("/v1/images/generations", json={"prompt": "a red ball"} | fields)


def test_it_waits_and_answers_with_the_files_themselves(client: TestClient, live_worker: None) -> None:
    answer = post(client, size="128x64", n=2, seed=7, sf=12).json()
    assert isinstance(answer["created"], int)
    assert (answer["size"], answer["output_format"]) == ("128x64", "png")
    assert (answer["model"], answer["sf"], answer["steps"]) == (IMAGE_MODEL, 12, 50)
    assert [image["seed"] for image in answer["data"]] == [7, 8]
    for image in answer["data"]:
        assert b64decode(image["b64_json"]) == VIDEO
        assert (image["url"], image["revised_prompt"]) == (None, None)
        assert (image["full_steps"], image["decisions"]) == (REPORT.full_steps, REPORT.decisions)
        assert (image["timings"]["denoise"], image["timings"]["encode"]) == (4.0, 0.1)


def test_a_url_leads_to_the_file_with_its_type_and_name(client: TestClient, live_worker: None) -> None:
    [image] = post(client, response_format="url").json()["data"]
    assert image["b64_json"] is None
    assert image["url"] == f"{client.base_url}/v1/images/{image['id']}/content"
    response = client.get(image["url"])
    assert (response.status_code, response.content) == (200, VIDEO)
    assert response.headers["content-type"] == "image/png"
    assert f"{image['id']}.png" in response.headers["content-disposition"]
    part = client.get(image["url"], headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, VIDEO[1:4])


def test_a_deadline_that_cannot_be_kept_is_a_504_that_no_retry_heals(client: TestClient, live_worker: None) -> None:
    response = post(client, deadline_seconds=1e-6)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert response.headers["x-should-retry"] == "false"


def test_a_form_gives_images_as_json_does(client: TestClient, live_worker: None) -> None:
    form = {"prompt": (None, "a"), "n": (None, "2"), "seed": (None, "3")}
    answer = client.post("/v1/images/generations", files=form).json()
    assert [image["seed"] for image in answer["data"]] == [3, 4]


def test_the_jobs_are_as_asked_for(client: TestClient, worker: FakeWorker) -> None:
    asked = {"steps": 40, "sf": 8, "guidance": 2.5, "true_cfg_scale": 3, "negative_prompt": "blurry"}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, client, priority="high", **asked)
        attempt = wait_until(lambda: worker.queue.leases.claim([IMAGE_MODEL], worker.name))
        worker.complete(attempt)
        assert answer.result(timeout=30).status_code == 200
    request = attempt.job.request
    assert attempt.job.priority is Priority.HIGH
    assert {name: getattr(request, name) for name in asked} == asked
    assert (request.width, request.height, request.frames, request.flow_shift) == (64, 64, 1, None)


def waiting(client: TestClient, pool: ThreadPoolExecutor, queue: Queue, **fields: Any) -> "Future[Any]":
    """A request whose jobs are in the queue."""
    answer = pool.submit(post, client, **fields)
    wait_until(lambda: queue.inspection.depth(IMAGE_MODEL).queued == fields["n"])
    return answer


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("out_of_memory", 500, "server_error"), ("invalid_request", 400, "invalid_request_error")],
)
def test_when_one_image_fails_the_call_fails_with_its_error_and_the_others_are_cancelled(
    client: TestClient, worker: FakeWorker, code: str, status: int, kind: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = waiting(client, pool, worker.queue, n=3)
        worker.run_one()
        running = worker.claim()
        worker.queue.leases.beat(running)
        worker.fail(running, code, "too little memory")
        response = answer.result(timeout=30)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (status, code, kind)
    assert "too little memory" in error["message"]
    assert response.headers["x-should-retry"] == "false"
    assert worker.queue.inspection.depth(IMAGE_MODEL).queued == 0


def test_who_waits_for_images_does_not_notice_that_redis_was_away(
    settings: Settings, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.image_jobs.RETRY_SECONDS", 0.01)  # so that it asks while Redis is away
    own = settings.model_copy(update={"redis_url": own_redis.url})
    queue = Queue.open(own.redis_url)
    with TestClient(create_app(own)) as client, ThreadPoolExecutor(1) as pool:
        answer = waiting(client, pool, queue, n=1)
        kill(own_redis)
        for _ in range(3):
            assert client.get("/readyz").status_code == 503
        own_redis.start()
        image_worker(own, queue).run_one()
        assert answer.result(timeout=30).status_code == 200
    queue.close()


def test_a_call_that_waits_reads_the_records_of_its_jobs_when_one_ends_and_not_at_every_step(
    settings: Settings, worker: FakeWorker
) -> None:
    reads: list[JobKey] = []

    class CountingJobs(Jobs):
        def get(self, job: JobKey) -> Job:
            reads.append(job)
            return super().get(job)

    resources = Resources.open(settings)
    resources = replace(resources, jobs=CountingJobs(resources.connection))
    with TestClient(create_app(settings, resources)) as client, ThreadPoolExecutor(1) as pool:
        answer = waiting(client, pool, worker.queue, n=1)
        attempt = worker.claim()
        for step in range(attempt.job.request.steps):
            worker.queue.leases.beat(attempt, "denoise", step + 1)
        worker.complete(attempt)
        assert answer.result(timeout=30).status_code == 200
    assert 1 <= len(reads) < 10


def test_calls_beyond_those_that_may_read_events_get_their_images_too(
    settings: Settings, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.image_jobs.RETRY_SECONDS", 0.01)
    resources = replace(Resources.open(settings), events=Events(settings.redis_url, max_readers=1))
    with TestClient(create_app(settings, resources)) as client, ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(post, client) for _ in range(3)]
        wait_until(lambda: worker.queue.inspection.depth(IMAGE_MODEL).queued == 3)
        for _ in answers:
            worker.run_one()
        assert [answer.result(timeout=30).status_code for answer in answers] == [200, 200, 200]


def test_a_job_that_is_gone_with_its_events_ends_the_wait_for_it(
    client: TestClient, worker: FakeWorker, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs.events.MAX_BLOCK_SECONDS", 0.05)  # so that the silence is not long
    with ThreadPoolExecutor(1) as pool, redis.Redis.from_url(redis_url) as raw:
        answer = waiting(client, pool, worker.queue, n=1)
        raw.flushall()
        assert answer.result(timeout=30).json()["error"]["code"] == "not_found"


def test_an_image_that_was_cancelled_says_so(client: TestClient, worker: FakeWorker) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = waiting(client, pool, worker.queue, n=1)
        attempt = worker.claim()
        worker.queue.jobs.cancel(attempt.job.key)
        worker.queue.leases.cancel(attempt)
        assert answer.result(timeout=30).json()["error"]["code"] == "cancelled"


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"n": 0}, "n", ["n 0", "greater than or equal to 1"]),
        ({"n": 11}, "n", ["n 11", "less than or equal to 10"]),
        ({"response_format": "jpeg"}, "response_format", ["'jpeg'", "'b64_json' or 'url'"]),
        ({"size": "60x64"}, "size", ["width 60", "multiple of 16"]),
        ({"flow_shift": 3}, "flow_shift", ["flow_shift 3", "flux-test has none", "size"]),
        ({"negative_prompt": "blurry"}, "negative_prompt", ["true_cfg_scale above 1"]),
        ({"seconds": 2}, "seconds", ["unknown field 'seconds'", "allowed: prompt, model"]),
        ({"quality": "high"}, "quality", ["unknown field 'quality'"]),
        ({"seed": 2**32 - 1, "n": 2}, "seed", ["with n 2", "below 4294967296"]),
        ({"sf": 51}, "sf", ["sf 51", "between 2 and steps, which is 50"]),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_queued(
    client: TestClient, queue: Queue, changes: dict[str, Any], param: str, words: list[str]
) -> None:
    response = post(client, **changes)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", param)
    for word in words:
        assert word in error["message"]
    assert queue.inspection.depth(IMAGE_MODEL).queued == 0


@pytest.mark.parametrize(
    ("path", "model", "right_path", "right_model"),
    [
        ("/v1/images/generations", "wan-test", "/v1/videos", IMAGE_MODEL),
        ("/v1/videos", IMAGE_MODEL, "/v1/images/generations", "wan-test"),
    ],
)
def test_a_model_that_makes_something_else_is_refused_with_the_call_that_takes_it(
    client: TestClient, path: str, model: str, right_path: str, right_model: str
) -> None:
    response = client.post(path, json={"prompt": "a", "model": model})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_request", "model")
    for word in (repr(model), right_path, right_model):
        assert word in error["message"]


def test_true_guidance_is_refused_for_a_model_that_has_no_other(client: TestClient) -> None:
    error = client.post("/v1/videos", json={"prompt": "a", "true_cfg_scale": 2}).json()["error"]
    assert error["param"] == "true_cfg_scale" and "set guidance" in error["message"]


def test_images_and_videos_do_not_see_each_other(client: TestClient, live_worker: None) -> None:
    [image] = post(client).json()["data"]
    assert client.get("/v1/videos").json()["data"] == []
    assert client.get(f"/v1/videos/{image['id']}").status_code == 404
    video = client.post("/v1/videos", json={"prompt": "a"}).json()
    assert client.get(f"/v1/images/{video['id']}/content").json()["error"]["code"] == "not_found"


def test_the_content_of_an_image_that_is_not_made_yet_is_refused(client: TestClient, worker: FakeWorker) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = waiting(client, pool, worker.queue, n=1)
        attempt = worker.claim()
        response = client.get(f"/v1/images/{attempt.job.id}/content")
        assert (response.status_code, response.json()["error"]["code"]) == (422, "not_ready")
        worker.complete(attempt)
        answer.result(timeout=30)
    assert worker.queue.jobs.get(attempt.job.key).state is JobState.COMPLETED


@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/images/variations"])
def test_image_calls_that_are_not_served_say_so(client: TestClient, path: str) -> None:
    error = client.post(path, json={"prompt": "a"}).json()["error"]
    assert error["code"] == "not_supported" and path in error["message"]


def test_an_image_says_when_it_goes_and_can_go_earlier(
    client: TestClient, live_worker: None, settings: Settings
) -> None:
    [image] = post(client).json()["data"]
    assert image["expires_at"] >= image_time(client, image["id"]) + settings.retention_seconds - 1
    assert client.delete("/v1/images/image_flux-test_" + "0" * 32).status_code == 404
    assert client.delete(image["id"].replace("image_", "/v1/images/video_")).status_code == 404
    deleted = client.delete(f"/v1/images/{image['id']}")
    assert deleted.json() == {"id": image["id"], "object": "image.deleted", "deleted": True}
    assert client.get(f"/v1/images/{image['id']}/content").status_code == 404
    assert client.delete(f"/v1/images/{image['id']}").status_code == 404
    assert not list(settings.artifacts.rglob("*.png"))


def image_time(client: TestClient, image_id: str) -> float:
    resources = client.app.state.resources  # type: ignore[attr-defined]
    return float(resources.jobs.get(JobKey("default", image_id)).completed_at)
