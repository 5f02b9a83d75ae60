"""Errors in the shape of RFC 9457, for who asks for it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.dependencies import Resources
from service.error_response import PROBLEM, wants_problem
from service.settings import Settings
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from workers.jobs.job import Job, JobKey
from workers.jobs.queue import Jobs


class BrokenJobs(Jobs):
    def get(self, job: JobKey) -> Job:
        raise RuntimeError("secret")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), headers={"accept": PROBLEM}) as client:
        yield client


def check(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-request-id"]
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "param"}
    assert (problem["type"], problem["status"]) == (f"urn:scalingcache:error:{code}", status)
    assert problem["code"] == code and problem["detail"] and problem["title"].endswith(".")
    return problem


def test_a_wrong_field_is_a_problem_that_names_it(client: TestClient) -> None:
    problem = check(client.post("/v1/videos", json={"prompt": "a", "sf": 1}), 400, "invalid_request")
    assert problem["param"] == "sf" and "sf 1" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("PUT", "/v1/videos", 405, "method_not_allowed"),
        ("GET", "/v1/videos?limit=x", 400, "invalid_request"),
        ("GET", "/v1/videos/video_1", 404, "not_found"),
        ("POST", "/v1/videos", 415, "unsupported_media_type"),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    check(client.request(method, path), status, code)


def test_what_a_middleware_refuses_is_a_problem_too(client: TestClient) -> None:
    check(client.get("/v1/videos", headers={"host": "evil.test"}), 400, "host_not_trusted")


def test_a_range_that_is_none_is_a_problem_with_its_headers(client: TestClient, worker: FakeWorker) -> None:
    video = create(client)
    worker.run_one()
    answer = client.get(f"/v1/videos/{video['id']}/content", headers={"range": "bytes=999999-"})
    check(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"].startswith("bytes */")


def test_a_failure_within_is_a_problem_that_says_nothing_of_it(settings: Settings) -> None:
    resources = Resources.open(settings)
    broken = replace(resources, jobs=BrokenJobs(resources.connection))
    with TestClient(create_app(settings, broken), headers={"accept": PROBLEM}) as client:
        answer = client.get("/v1/videos/video_wan-test_" + "0" * 32)
    assert "secret" not in check(answer, 500, "internal_error")["detail"]


@pytest.mark.parametrize("accept", ["application/json", "*/*", "", "text/html", f"{PROBLEM};q=0"])
def test_others_get_the_shape_of_openai(client: TestClient, accept: str) -> None:
    answer = client.get("/v1/nothing", headers={"accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROBLEM, True),
        ("Application/Problem+JSON", True),
        (f"application/json, {PROBLEM}", True),
        (f"text/html, {PROBLEM};q=0.5, */*;q=0.1", True),
        (f"{PROBLEM};q=0.5, application/json;q=0.9", False),
        (f"{PROBLEM};q=x", False),
        (f"{PROBLEM};q=nan", False),
        (";;,,=;q", False),
    ],
)
def test_the_header_is_read_as_http_has_it(accept: str, wanted: bool) -> None:
    assert wants_problem(accept) == wanted
