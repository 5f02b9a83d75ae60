"""Health, readiness and metrics."""

import threading
from pathlib import Path

import pytest
import redis
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service import dependencies
from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import FakeWorker
from workers.jobs.artifacts import MARKER, ArtifactStore
from workers.jobs.store_binding import StoreBinding


@pytest.fixture
def without_redis(settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})


def scrape(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(client: TestClient, name: str, **labels: str) -> float | None:
    return scrape(client).get((name, frozenset(labels.items())))


def test_the_process_is_healthy_also_without_redis(without_redis: Settings) -> None:
    with TestClient(create_app(without_redis)) as client:
        assert (client.get("/healthz").status_code, client.get("/healthz").json()) == (200, {"status": "ok"})


def test_ready_with_redis_storage_and_a_worker_for_each_model(client: TestClient, worker: FakeWorker) -> None:
    worker.announce()
    response = client.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (200, True)
    assert set(response.json()["checks"]) == {"redis", "storage", "jobs", "worker:wan-test"}


def test_not_ready_without_a_worker_saying_which_model(client: TestClient) -> None:
    response = client.get("/readyz")
    checks = response.json()["checks"]
    assert (response.status_code, response.json()["ready"]) == (503, False)
    assert checks["worker:wan-test"] == {"ok": False, "detail": "0 live workers accept jobs for wan-test"}
    assert checks["redis"]["ok"] and checks["storage"]["ok"]


@pytest.mark.parametrize("state", ["loading", "draining"])
def test_a_worker_that_takes_no_jobs_is_not_enough(client: TestClient, worker: FakeWorker, state: str) -> None:
    worker.announce(state)  # type: ignore[arg-type]
    assert client.get("/readyz").json()["checks"]["worker:wan-test"]["ok"] is False


def test_a_worker_that_cannot_load_its_model_is_named_without_its_folders(
    client: TestClient, worker: FakeWorker
) -> None:
    worker.fail_to_load("model_load_failed", "model wan-test from /secret/folder: no file")
    check = client.get("/readyz").json()["checks"]["worker:wan-test"]
    assert check["ok"] is False
    assert check["detail"].endswith("; worker-1 failed (model_load_failed)")
    worker.announce("idle")
    assert client.get("/readyz").json()["ready"] is True


def test_not_ready_without_redis(without_redis: Settings) -> None:
    with TestClient(create_app(without_redis)) as client:
        response = client.get("/readyz")
    assert (response.status_code, response.json()["checks"]["redis"]["ok"]) == (503, False)
    assert response.json()["checks"]["storage"]["ok"] is True
    assert "127.0.0.1" not in response.text


def test_not_ready_when_results_cannot_be_stored(settings: Settings, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    with TestClient(create_app(settings.model_copy(update={"artifacts": file / "below"}))) as client:
        checks = client.get("/readyz").json()["checks"]
    assert checks["storage"] == {"ok": False, "detail": "Not a directory"}


def test_a_store_that_hangs_holds_neither_readiness_nor_metrics(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network file system does whose server is gone."""
    back = threading.Event()
    for ask in ("probe", "free_and_total_bytes"):
        monkeypatch.setattr(ArtifactStore, ask, lambda _: back.wait(60) and pytest.fail("nobody waited for it"))
    monkeypatch.setattr(dependencies, "STORE_SECONDS", 0.1)
    with TestClient(create_app(settings)) as client:
        for _ in range(2 * dependencies.PROBES):
            check = client.get("/readyz").json()["checks"]["storage"]
            assert check == {"ok": False, "detail": "did not answer within 0.1 s"}
            figures = scrape(client)
            assert figures["scalingcache_queue_up", frozenset()] == 1
            assert ("scalingcache_storage_free_bytes", frozenset()) not in figures
        hanging = [thread for thread in threading.enumerate() if thread.name.endswith("(work)")]
        back.set()
    assert len(hanging) == 2, "one for each that asks, however often"


def test_not_ready_with_a_folder_that_is_not_the_workers(
    client: TestClient, settings: Settings, queue: Queue, tmp_path: Path
) -> None:
    StoreBinding(ArtifactStore(tmp_path / "the workers'"), queue.connection).check()
    assert client.get("/readyz").json()["checks"]["storage"]["ok"] is False
    (settings.artifacts / MARKER).write_text((tmp_path / "the workers'" / MARKER).read_text())
    assert client.get("/readyz").json()["checks"]["storage"] == {
        "ok": True,
        "detail": "can be written to and belongs to this Redis",
    }


def test_requests_are_counted_by_template_and_never_by_path(client: TestClient) -> None:
    client.get("/v1/videos/video_1")
    client.get("/v1/videos/video_2")
    client.get("/nowhere/1")
    client.request("BREW", "/v1/videos")
    labels = {"route": "/v1/videos/{video_id}", "method": "GET", "code": "404"}
    assert value(client, "scalingcache_http_requests_total", **labels) == 2
    unmatched = {"route": "unmatched", "method": "GET", "code": "404"}
    assert value(client, "scalingcache_http_requests_total", **unmatched) == 1
    other = {"route": "/v1/videos", "method": "other", "code": "405"}
    assert value(client, "scalingcache_http_requests_total", **other) == 1
    duration = {"route": "/v1/videos/{video_id}", "method": "GET"}
    assert value(client, "scalingcache_http_request_duration_seconds_count", **duration) == 2
    assert "video_1" not in client.get("/metrics").text


def test_accepted_jobs_are_counted_once_with_their_sf(client: TestClient) -> None:
    for _ in range(2):
        client.post("/v1/videos", json={"prompt": "a", "sf": 12}, headers={"idempotency-key": "k"})
    client.post("/v1/videos", json={"prompt": "a", "priority": "high"})
    client.post("/v1/videos", json={"prompt": ""})
    normal = {"model": "wan-test", "priority": "normal"}
    assert value(client, "scalingcache_jobs_submitted_total", **normal) == 1
    assert value(client, "scalingcache_jobs_submitted_total", model="wan-test", priority="high") == 1
    assert value(client, "scalingcache_sf_requested_sum", model="wan-test") == 22
    assert value(client, "scalingcache_sf_requested_bucket", model="wan-test", le="10.0") == 1


def test_the_queue_is_measured_at_each_scrape(client: TestClient, worker: FakeWorker) -> None:
    assert value(client, "scalingcache_queue_jobs", model="wan-test", state="queued") == 0
    assert value(client, "scalingcache_queue_oldest_age_seconds", model="wan-test") == 0
    for _ in range(3):
        client.post("/v1/videos", json={"prompt": "a"})
    worker.claim()
    worker.announce()
    assert value(client, "scalingcache_queue_jobs", model="wan-test", state="queued") == 2
    assert value(client, "scalingcache_queue_jobs", model="wan-test", state="running") == 1
    assert value(client, "scalingcache_workers", model="wan-test", state="idle") == 1
    age = value(client, "scalingcache_queue_oldest_age_seconds", model="wan-test")
    assert age is not None and age > 0
    assert value(client, "scalingcache_queue_up") == 1


def test_a_scrape_without_redis_still_answers(without_redis: Settings) -> None:
    with TestClient(create_app(without_redis)) as client:
        samples = scrape(client)
    names = {name for name, _ in samples}
    assert samples["scalingcache_queue_up", frozenset()] == 0
    assert "scalingcache_build_info" in names and "scalingcache_queue_jobs" not in names


def test_a_redis_that_takes_no_writes_is_not_up_and_still_read(client: TestClient, settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url) as connection:
        connection.config_set("maxmemory", 1)
        try:
            samples = scrape(client)
        finally:
            connection.config_set("maxmemory", 0)
    assert samples["scalingcache_queue_up", frozenset()] == 0
    assert samples["scalingcache_redis_persisting", frozenset()] == 1
    assert value(client, "scalingcache_queue_up") == 1


def test_models_show_their_limits_and_live_workers(client: TestClient, worker: FakeWorker) -> None:
    worker.announce()
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    model = listed["data"][0]
    assert model == client.get("/v1/models/wan-test").json()
    assert (model["id"], model["object"], model["family"], model["media"]) == ("wan-test", "model", "wan", "video")
    assert (model["limits"]["max_frames"], model["defaults"]["steps"]) == (49, 50)
    assert (model["size_multiple"], model["frame_multiple"]) == (16, 4)
    assert {name: model["sf"][name] for name in ("minimum", "maximum", "default")} == {
        "minimum": 2,
        "maximum": 100,
        "default": 10,
    }
    assert model["live_workers"] == 1
    assert isinstance(model["created"], int) and model["owned_by"]


def test_models_are_listed_also_without_redis(without_redis: Settings) -> None:
    with TestClient(create_app(without_redis)) as client:
        assert client.get("/v1/models").json()["data"][0]["live_workers"] is None


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/wan-test", "/v1/videos"])
def test_head_is_answered_as_get_is(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.headers["content-type"]) == (get.status_code, get.headers["content-type"])
