"""Every failure has one shape and a request id, also those that the framework or the network makes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from demo.embedded_redis import EmbeddedRedis
from service.app import create_app
from service.dependencies import Resources
from service.errors import (
    ANSWERS,
    INTERNAL,
    BodyTooSlow,
    HeadTooSlow,
    JobFailed,
    JobRefused,
    RateLimited,
    TooManyStreams,
    answer_of,
    response_of,
)
from service.settings import Settings
from tests.redis_servers import kill
from workers.jobs import errors as job_errors
from workers.jobs.errors import QueueFull, ScalingCacheError
from workers.jobs.job import Job, JobKey
from workers.jobs.queue import Jobs

RETRIED_BY_SDKS = {408, 409, 429}
HEALED = {QueueFull, RateLimited, TooManyStreams, HeadTooSlow, BodyTooSlow}  # by a retry
STATUS = {
    "invalid_request": 400, "not_supported": 400, "malformed_body": 400, "model_not_found": 404, "not_found": 404,
    "invalid_invitation": 401, "artifact_gone": 410, "preview_missing": 404, "body_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416, "not_ready": 422, "idempotency_conflict": 422, "queue_unavailable": 503,
    "storage_full": 503, "storage_failed": 503, "storage_unavailable": 503,
    "queue_full": 429, "votes_full": 422, "body_too_slow": 408,
    "headers_too_slow": 408, "headers_too_large": 431, "too_many_streams": 429,
    "malformed_request": 400, "host_not_trusted": 400, "origin_not_allowed": 403, "overloaded": 503,
    "deadline_exceeded": 504, "model_unavailable": 503, "missing_api_key": 401, "invalid_api_key": 401,
    "insufficient_scope": 403, "rate_limit_exceeded": 429, "cost_too_high": 400,
}  # fmt: skip


class BrokenJobs(Jobs):
    def get(self, job: JobKey) -> Job:
        raise RuntimeError(f"secret of {job.tenant}")


def all_errors(cls: type[ScalingCacheError] = ScalingCacheError) -> Iterator[type[ScalingCacheError]]:
    for child in cls.__subclasses__():
        yield child
        yield from all_errors(child)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/videos/", 404, "not_found"),
        ("PUT", "/v1/videos", 405, "method_not_allowed"),
        ("PATCH", "/v1/videos/video_1", 405, "method_not_allowed"),
        ("GET", "/v1/videos/video_1", 404, "not_found"),
        ("GET", "/v1/models/none", 404, "model_not_found"),
        ("GET", "/v1/videos?limit=x", 400, "invalid_request"),
        ("POST", "/v1/videos", 415, "unsupported_media_type"),
    ],
)
def test_every_refusal_has_all_four_keys_and_a_request_id(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error" and error["message"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", response.headers["x-request-id"])


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    assert set(client.put("/v1/videos").headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert set(client.put("/v1/videos/video_1").headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE"}


def test_a_bug_is_a_500_that_tells_nothing_of_the_inside(settings: Settings) -> None:
    resources = Resources.open(settings)
    resources = replace(resources, jobs=BrokenJobs(resources.connection))
    with capture_logs() as lines, TestClient(create_app(settings, resources)) as client:
        response = client.get("/v1/videos/video_1")
    assert [line["log_level"] for line in lines if line["event"] == "unhandled error"] == ["error"]
    assert response.status_code == 500
    assert response.json()["error"] == {
        "message": "The service failed; try again.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("offered", ["abc-123", "req_0", "A.b_C-9" * 10])
def test_a_sane_request_id_of_the_client_is_kept(client: TestClient, offered: str) -> None:
    assert client.get("/healthz", headers={"x-request-id": offered}).headers["x-request-id"] == offered


@pytest.mark.parametrize("offered", ["", "a b", "x" * 129, "{}", "a;b"])
def test_any_other_request_id_is_replaced(client: TestClient, offered: str) -> None:
    assert client.get("/healthz", headers={"x-request-id": offered}).headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "cls", [cls for cls in ANSWERS if ANSWERS[cls].status < 500 and cls not in HEALED], ids=lambda cls: cls.__name__
)
def test_no_error_that_a_retry_cannot_heal_makes_clients_retry(cls: type[ScalingCacheError]) -> None:
    assert ANSWERS[cls].status not in RETRIED_BY_SDKS


def test_errors_of_jobs_that_escape_are_internal_and_keep_their_text_to_themselves() -> None:
    response = response_of(job_errors.DeviceError("CUDA at /home/secret"))
    assert response.status_code == 500
    assert b"secret" not in bytes(response.body) and b"device_error" not in bytes(response.body)


def test_each_error_that_a_client_can_meet_has_its_status_and_any_other_is_internal() -> None:
    answers = [(cls.code, answer_of(cls.__new__(cls))) for cls in all_errors() if not issubclass(cls, JobFailed)]
    assert {code: answer.status for code, answer in answers if answer is not INTERNAL} == STATUS
    assert INTERNAL.status == ANSWERS[JobFailed].status == 500 and ANSWERS[JobRefused].status == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/videos", {"prompt": "a"}),
        ("GET", "/v1/videos", None),
        ("GET", "/v1/videos/video_wan-test_" + "0" * 32, None),
        ("DELETE", "/v1/videos/video_wan-test_" + "0" * 32, None),
        ("POST", "/v1/videos/video_wan-test_" + "0" * 32 + "/cancel", None),
    ],
)
def test_without_redis_calls_are_told_to_come_back_and_nothing_of_addresses(
    settings: Settings, method: str, path: str, body: Any
) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with TestClient(create_app(away)) as client:
        response = client.request(method, path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (503, "queue_unavailable", "server_error")
    assert 0 < int(response.headers["retry-after"]) <= 120
    assert "127.0.0.1" not in error["message"]


def test_the_service_comes_back_with_redis(settings: Settings, own_redis: EmbeddedRedis) -> None:
    own = settings.model_copy(update={"redis_url": own_redis.url})
    with TestClient(create_app(own)) as client:
        video_id = client.post("/v1/videos", json={"prompt": "a"}).json()["id"]
        kill(own_redis)
        assert client.get(f"/v1/videos/{video_id}").status_code == 503
        own_redis.start()
        assert client.get(f"/v1/videos/{video_id}").json()["status"] == "queued"
