"""One request makes one job, however often it arrives."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient

from service.app import create_app
from service.dependencies import Resources
from service.settings import Settings
from tests.queues import Queue
from tests.service.fake_worker import FakeWorker
from workers.jobs.queue import Jobs

BODY = {"prompt": "a red ball", "sf": 4}


class UnlistedJobs(Jobs):
    list = None  # type: ignore[assignment]


def post(client: TestClient, body: dict[str, Any] = BODY, **headers: str) -> Any:
    return client.post(
        "/v1/videos", json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def create(client: TestClient, body: dict[str, Any] = BODY, **headers: str) -> str:
    response = post(client, body, **headers)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def test_the_same_key_and_body_give_the_same_video_as_it_stands_now(client: TestClient, worker: FakeWorker) -> None:
    first = create(client, idempotency_key="k")
    worker.run_one()
    again = post(client, idempotency_key="k").json()
    assert (again["id"], again["status"]) == (first, "completed")


def test_a_form_repeats_a_json_body(client: TestClient) -> None:
    form = {"prompt": (None, "a red ball"), "sf": (None, "4")}
    again = client.post("/v1/videos", files=form, headers={"idempotency-key": "k"})
    assert again.json()["id"] == create(client, idempotency_key="k")


def test_the_same_key_with_another_body_is_refused_without_making_clients_retry(client: TestClient) -> None:
    create(client, idempotency_key="k")
    response = post(client, BODY | {"sf": 5}, idempotency_key="k")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "idempotency_conflict")
    assert response.json()["error"]["param"] == "Idempotency-Key"


def test_another_key_or_none_makes_another_video(client: TestClient) -> None:
    ids = {create(client, idempotency_key="a"), create(client, idempotency_key="b"), create(client), create(client)}
    assert len(ids) == 4


def test_fifty_at_once_with_one_key_make_one_video(client: TestClient, queue: Queue) -> None:
    with ThreadPoolExecutor(50) as pool:
        ids = set(pool.map(lambda _: create(client, idempotency_key="k"), range(50)))
    assert len(ids) == 1
    assert queue.inspection.depth("wan-test").queued == 1


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_of_no_or_too_many_characters_is_refused(client: TestClient, key: str) -> None:
    error = post(client, idempotency_key=key).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "idempotency-key")
    assert "255 characters" in error["message"] or "1 character" in error["message"]


def test_two_keys_are_none(client: TestClient) -> None:
    response = client.post("/v1/videos", json=BODY, headers=[("idempotency-key", "a"), ("idempotency-key", "b")])
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "Idempotency-Key")
    assert "more than once" in error["message"]


def test_a_refused_body_does_not_use_up_its_key(client: TestClient) -> None:
    assert post(client, {"prompt": ""}, idempotency_key="k").status_code == 400
    assert post(client, idempotency_key="k").status_code == 200


def test_a_retry_of_the_sdk_gets_the_job_of_its_first_try(client: TestClient, queue: Queue) -> None:
    first = create(client, x_stainless_retry_count="0")
    create(client, BODY | {"sf": 5}, x_stainless_retry_count="0")
    assert create(client, x_stainless_retry_count="1") == first
    assert create(client, x_stainless_retry_count="2") == first
    assert queue.inspection.depth("wan-test").queued == 2


def test_a_first_try_always_makes_a_new_job_and_its_retry_finds_that_one(client: TestClient) -> None:
    older = create(client, x_stainless_retry_count="0")
    newer = create(client, x_stainless_retry_count="0")
    assert newer != older
    assert create(client, x_stainless_retry_count="1") == newer


def test_a_retry_whose_first_try_never_arrived_makes_the_job(client: TestClient) -> None:
    made = create(client, x_stainless_retry_count="1")
    assert create(client, x_stainless_retry_count="2") == made


@pytest.mark.parametrize("changes", [{"sf": 5}, {"seed": 1}, {"priority": "low"}, {"metadata": {"a": "b"}}])
def test_a_retry_of_another_body_is_no_retry(client: TestClient, changes: dict[str, Any]) -> None:
    first = create(client, x_stainless_retry_count="0")
    assert create(client, BODY | changes, x_stainless_retry_count="1") != first


def test_a_retry_finds_its_job_behind_many_others(client: TestClient) -> None:
    first = create(client, x_stainless_retry_count="0")
    for _ in range(101):
        create(client, BODY | {"sf": 5})
    assert create(client, x_stainless_retry_count="1") == first


def test_what_a_retry_is_known_by_is_kept_for_a_minute(client: TestClient, settings: Settings) -> None:
    first = create(client, x_stainless_retry_count="0")
    with redis.Redis.from_url(settings.redis_url) as connection:
        [key] = connection.keys("retry:*")
        assert 0 < connection.ttl(key) <= 60
        connection.delete(key)
    assert create(client, x_stainless_retry_count="1") != first


def test_a_retry_reads_no_job_but_its_own(settings: Settings) -> None:
    resources = Resources.open(settings)
    with TestClient(create_app(settings, replace(resources, jobs=UnlistedJobs(resources.connection)))) as client:
        first = create(client, x_stainless_retry_count="0")
        assert create(client, x_stainless_retry_count="1") == first


@pytest.mark.parametrize("headers", [{"idempotency_key": "k"}, {"x_stainless_retry_count": "1"}])
def test_a_job_that_is_deleted_while_it_runs_gives_its_request_up_to_a_new_one(
    client: TestClient, worker: FakeWorker, headers: dict[str, str]
) -> None:
    deleted = create(client, **headers)
    worker.claim()
    client.delete(f"/v1/videos/{deleted}")
    made = create(client, **headers)
    assert made != deleted
    assert create(client, **headers) == made
    assert client.get(f"/v1/videos/{made}").json()["status"] == "queued"


def test_an_odd_retry_count_counts_as_a_first_try(client: TestClient) -> None:
    ids = {create(client, x_stainless_retry_count=odd) for odd in ("0", "00", "-1", "x", "1.5", "")}
    assert len(ids) == 6


def test_a_retry_count_without_end_is_a_retry(client: TestClient) -> None:
    first = create(client, x_stainless_retry_count="0")
    assert create(client, x_stainless_retry_count="9" * 5000) == first
