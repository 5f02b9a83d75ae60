"""What an account may submit: how much at a time, how much at once, how much of it in one request."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from fastapi.testclient import TestClient

from service.app import create_app
from service.deadlines import end_overdue_once
from service.settings import Settings
from tests.queues import Queue
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.calls import create
from tests.service.fake_worker import MODEL, FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS
from tests.service.settings import settings_in
from workers.configuration import ConfigurationError
from workers.jobs import keys

BODY = {"prompt": "a red ball"}
#: Of the body above, by the model's defaults: 96 x 64 pixels, 33 frames, 50 steps.
COST = 96 * 64 * 33 * 50


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return with_keys(settings_in(tmp_path, redis_url, *MODELS), tmp_path)


@pytest.fixture
def limits() -> dict[str, object]:
    return {}


@pytest.fixture
def acme(settings: Settings, limits: dict[str, object]) -> Iterator[TestClient]:
    app = create_app(settings.model_copy(update=limits))
    with TestClient(app, headers=bearer(a_key(settings))) as client:
        yield client


@pytest.fixture
def beta(acme: TestClient, settings: Settings) -> TestClient:
    return TestClient(acme.app, headers=bearer(a_key(settings, "beta")))


def params(header: str) -> dict[str, int]:
    """Of the one item of a RateLimit header, by draft-ietf-httpapi-ratelimit-headers-11: a name and its parameters."""
    item = re.fullmatch(r'"submissions"((?:;[a-z]+=\d+)+)', header)
    assert item is not None, header
    return {name: int(value) for name, value in re.findall(r";([a-z]+)=(\d+)", item[1])}


@pytest.mark.parametrize("limits", [{"max_queued_per_tenant": 2}])
def test_an_account_that_has_as_many_waiting_as_it_may_is_refused_and_others_are_not(
    acme: TestClient, beta: TestClient, worker: FakeWorker
) -> None:
    for _ in range(2):
        create(acme)
    response = acme.post("/v1/videos", json=BODY)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "queue_full")
    assert "2 jobs of yours wait for wan-test" in response.json()["error"]["message"]
    assert 1 <= int(response.headers["retry-after"]) <= 120
    create(beta)
    worker.claim()
    create(acme)


@pytest.mark.parametrize("limits", [{"max_queued_per_tenant": 1}])
def test_of_submissions_that_race_for_one_place_one_gets_it(acme: TestClient, queue: Queue) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: acme.post("/v1/videos", json=BODY).status_code, range(8)))
    assert sorted(statuses) == [200] + [429] * 7
    assert queue.inspection.depth(MODEL).queued == 1


@pytest.mark.parametrize("limits", [{"max_queued_per_tenant": 5}])
def test_a_refused_client_is_told_to_wait_as_long_as_its_turn_takes(
    acme: TestClient, beta: TestClient, settings: Settings
) -> None:
    for _ in range(5):
        first = create(acme)
    for _ in range(5):
        create(beta)
    with redis.Redis.from_url(settings.redis_url) as raw:
        raw.zadd(keys.since(MODEL, "normal"), {first["id"]: raw.time()[0] - 100})
    # One starts every 10 s, and two accounts take turns.
    assert 19 <= int(acme.post("/v1/videos", json=BODY).headers["retry-after"]) <= 22


@pytest.mark.parametrize("limits", [{"max_cost": COST}])
def test_one_request_may_cost_only_so_much(acme: TestClient, queue: Queue) -> None:
    create(acme)
    error = acme.post("/v1/videos", json=BODY | {"steps": 51}).json()["error"]
    assert (error["code"], error["param"], error["type"]) == ("cost_too_high", "size", "invalid_request_error")
    assert f"size 96x64, frames 33, steps 51 cost {COST // 50 * 51}" in error["message"]
    assert f"at most {COST}" in error["message"]
    assert queue.inspection.depth(MODEL).queued == 1


@pytest.mark.parametrize("limits", [{"max_cost": 64 * 64 * 10}])
def test_so_may_images(acme: TestClient) -> None:
    body = BODY | {"model": IMAGE_MODEL, "steps": 11}
    assert acme.post("/v1/images/generations", json=body).json()["error"]["code"] == "cost_too_high"


@pytest.mark.parametrize("limits", [{"max_queued_cost_per_tenant": 2 * COST}])
def test_what_waits_of_an_account_may_cost_only_so_much_together(acme: TestClient, beta: TestClient) -> None:
    create(acme, steps=40)
    create(acme, steps=60)
    response = acme.post("/v1/videos", json=BODY | {"steps": 1})
    assert (response.status_code, response.json()["error"]["code"]) == (429, "queue_full")
    assert f"more than {2 * COST} together" in response.json()["error"]["message"]
    create(beta)


@pytest.mark.parametrize("limits", [{"submissions_per_minute": 6.0, "submissions_burst": 3}])
def test_submissions_beyond_the_rate_are_refused_and_every_answer_says_what_is_left(
    acme: TestClient, beta: TestClient, settings: Settings
) -> None:
    answers = [acme.post("/v1/videos", json=BODY) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"submissions";q=3;w=30'}
    assert [params(answer.headers["ratelimit"])["r"] for answer in answers] == [2, 1, 0, 0]
    error = answers[3].json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert "6 submissions a minute are allowed, 3 at once" in error["message"]
    assert 0 < int(answers[3].headers["retry-after"]) <= 10
    assert acme.get("/v1/videos").headers.get("ratelimit") is None, "what is only shown is not counted"
    assert beta.post("/v1/videos", json=BODY).is_success
    with redis.Redis.from_url(settings.redis_url) as raw:
        assert 0 < raw.ttl("submissions:acme") <= 31
        seconds, microseconds = raw.time()
        raw.hset("submissions:acme", "at", seconds + microseconds / 1e6 - 20)
    assert [acme.post("/v1/videos", json=BODY).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("limits", [{"submissions_per_minute": 0.5, "submissions_burst": 4}])
def test_of_submissions_that_race_for_the_last_of_a_rate_one_gets_it(acme: TestClient) -> None:
    for _ in range(3):
        create(acme)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: acme.post("/v1/videos", json=BODY).status_code, range(8)))
    assert sorted(statuses) == [200] + [429] * 7


@pytest.mark.parametrize("limits", [{"submissions_per_minute": 0.5, "submissions_burst": 4}])
def test_each_image_of_a_call_counts_and_the_wait_is_for_all_of_them(acme: TestClient) -> None:
    create(acme)
    response = acme.post("/v1/images/generations", json=BODY | {"model": IMAGE_MODEL, "n": 4})
    assert response.status_code == 429
    told = params(response.headers["ratelimit"])
    assert told["r"] == 3 and 100 < int(told["t"]) <= 120
    assert response.headers["retry-after"] == str(told["t"])


def test_without_a_rate_nothing_is_said_of_one(acme: TestClient) -> None:
    assert "ratelimit" not in acme.post("/v1/videos", json=BODY).headers


def test_a_burst_without_a_rate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SUBMISSIONS_BURST needs SCALINGCACHE_SUBMISSIONS_PER_MINUTE"):
        Settings(submissions_burst=3)


def test_a_flood_of_one_account_does_not_delay_the_first_video_of_another(
    acme: TestClient, beta: TestClient, worker: FakeWorker, queue: Queue
) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = Counter(pool.map(lambda _: acme.post("/v1/videos", json=BODY).status_code, range(2000)))
    unsure = counts.pop(503, 0)  # Redis took too long to say: none on a machine that is not overloaded.
    assert set(counts) == {200, 429} and counts[200] <= 1000 <= counts[200] + unsure
    assert queue.inspection.depth(MODEL).queued == 1000
    worker.claim()
    video = create(beta)
    assert video["queue_position"] == 0
    assert worker.claim().job.id == video["id"]


def test_a_deadline_is_shown_and_what_has_not_ended_by_then_says_why(
    acme: TestClient, worker: FakeWorker, settings: Settings
) -> None:
    video = create(acme, deadline_seconds="90")
    assert video["deadline_at"] in (video["created_at"] + 90, video["created_at"] + 91)
    assert create(acme)["deadline_at"] is None
    with redis.Redis.from_url(settings.redis_url) as raw:
        raw.hset(keys.job(video["id"]), "deadline_at", "1")
        raw.zadd(f"{keys.root(MODEL)}:deadlines", {video["id"]: 1})
    assert worker.claim().job.id != video["id"]
    end_overdue_once(acme.app.state.resources)  # type: ignore[attr-defined]
    shown = acme.get(f"/v1/videos/{video['id']}").json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "deadline_exceeded")


@pytest.mark.parametrize("seconds", [0, -1, math.inf, "soon", 2_592_001, True])
def test_a_deadline_that_is_none_is_refused(acme: TestClient, seconds: object) -> None:
    body = BODY | {"deadline_seconds": str(seconds) if seconds == math.inf else seconds}
    error = acme.post("/v1/videos", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "deadline_seconds")
