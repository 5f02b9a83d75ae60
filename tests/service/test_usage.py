"""What accounts have used: shown to each of its own, to Prometheus in bounds, and to the operator."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service import account_metrics, status
from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.calls import create
from tests.service.fake_worker import MODEL, FakeWorker
from tests.service.settings import settings_in
from tests.workers.factories import a_request, submit
from workers.jobs import keys

NOTHING = {"submitted": 0, "completed": 0, "failed": 0, "cancelled": 0, "full_steps": 0, "cached_steps": 0}
DONE = NOTHING | {"submitted": 2, "completed": 1, "full_steps": 20, "cached_steps": 30}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return with_keys(settings_in(tmp_path, redis_url), tmp_path).model_copy(update={"metrics_access": "open"})


@pytest.fixture
def acme(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), headers=bearer(a_key(settings))) as client:
        yield client


@pytest.fixture
def beta(acme: TestClient, settings: Settings) -> TestClient:
    return TestClient(acme.app, headers=bearer(a_key(settings, "beta")))


def counted(usage: dict[str, object]) -> dict[str, object]:
    return {name: usage[name] for name in NOTHING}


def test_an_account_sees_what_it_has_used_and_nobody_elses(
    acme: TestClient, beta: TestClient, worker: FakeWorker
) -> None:
    create(acme)
    create(acme)
    worker.run_one()
    usage = acme.get("/v1/usage").json()
    today = datetime.now(UTC).date().isoformat()
    assert (usage["object"], usage["account"]) == ("usage", "acme")
    assert usage["end_time"] - usage["start_time"] == pytest.approx(29.5 * 86_400, abs=43_300)
    assert counted(usage["total"]) == DONE
    assert [(each["model"], counted(each)) for each in usage["models"]] == [(MODEL, DONE)]
    assert [(each["date"], counted(each)) for each in usage["days"]] == [(today, DONE)]
    other = beta.get("/v1/usage").json()
    assert (counted(other["total"]), other["models"], other["days"]) == (NOTHING, [], [])


def test_days_are_those_that_were_asked_for(acme: TestClient, settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url) as raw:
        today = raw.time()[0] // 86_400
        for ago, seconds in ((0, 1.5), (2, 2.25), (40, 100)):
            raw.hset(keys.used_on(MODEL, "acme", today - ago), "device_seconds", str(seconds))
    totals = [acme.get("/v1/usage", params={"days": days}).json()["total"]["device_seconds"] for days in (1, 30, 400)]
    assert totals == [1.5, 3.75, 103.75]
    dates = [day["date"] for day in acme.get("/v1/usage").json()["days"]]
    assert dates == [datetime.fromtimestamp((today - ago) * 86_400, UTC).date().isoformat() for ago in (2, 0)]


@pytest.mark.parametrize("days", ["0", "401", "soon", "-1"])
def test_days_that_are_none_are_refused(acme: TestClient, days: str) -> None:
    error = acme.get("/v1/usage", params={"days": days}).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", "days")


def test_metrics_name_the_accounts_that_came_first_and_sum_up_the_others(
    acme: TestClient, queue: Queue, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_metrics, "MOST_ACCOUNTS", 2)
    for tenant in ("zeta", "acme", "beta", "other", "beta"):
        submit(queue, a_request(model=MODEL), tenant=tenant)
    for _ in range(5):
        worker.run_one()
    samples = [
        sample
        for family in text_string_to_metric_families(acme.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("scalingcache_account_")
    ]
    assert {sample.labels["account"] for sample in samples} == {"zeta", "acme", "other"}
    assert {sample.labels["model"] for sample in samples} == {MODEL}
    full = {sample.labels["account"]: sample.value for sample in samples if sample.labels.get("kind") == "full"}
    assert full == {"zeta": 20, "acme": 20, "other": 60}
    done = {sample.labels["account"]: sample.value for sample in samples if sample.labels.get("outcome") == "completed"}
    assert done == {"zeta": 1, "acme": 1, "other": 3}


def test_the_operators_screen_has_every_account(queue: Queue, worker: FakeWorker) -> None:
    submit(queue, a_request(model=MODEL), tenant="acme")
    worker.run_one()
    submit(queue, a_request(model=MODEL), tenant="beta")
    accounts = status.read(queue.connection, [MODEL]).accounts
    assert [(load.tenant, load.queued, load.running, load.used.completed) for load in accounts] == [
        ("acme", 0, 0, 1),
        ("beta", 1, 0, 0),
    ]
