"""Who may call what: nothing without a key, nothing of another account, nothing beyond a key's scopes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service import permissions
from service.accounts import Scope
from service.app import create_app
from service.settings import Settings
from tests.service.accounts import a_key, accounts_of, bearer, with_keys
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from tests.service.image_model import MODELS
from tests.service.settings import settings_in
from workers.jobs.job import new_job_id

OPEN = {"/healthz", "/readyz", "/", "/page/{version}/{path:path}"}
BODY = {"prompt": "a red ball"}
NOBODYS_KEY = f"scs_{'0' * 16}_{'a' * 43}"


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return with_keys(settings_in(tmp_path, redis_url, *MODELS), tmp_path)


@pytest.fixture
def acme(settings: Settings, client: TestClient) -> TestClient:
    """A client of the account `acme`, which may make and see."""
    client.headers |= bearer(a_key(settings))
    return client


@pytest.fixture
def beta(settings: Settings, acme: TestClient) -> Iterator[TestClient]:
    """A client of another account, at the same service."""
    with TestClient(acme.app, headers=bearer(a_key(settings, "beta"))) as client:
        yield client


def asked_of(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from asked_of(each)


def test_no_endpoint_is_without_a_permission(client: TestClient) -> None:
    asks = {permissions.tenant, permissions.guest, permissions.may_read_metrics, permissions.may_read_docs}
    routers = [included.original_router for included in client.app.routes]  # type: ignore[attr-defined]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 25
    assert {route.path for route in routes if asks.isdisjoint(asked_of(route.dependant))} == OPEN


CALLS = [
    ("POST", "/v1/videos"), ("GET", "/v1/videos"), ("HEAD", "/v1/videos"), ("GET", "/v1/videos/video_x"),
    ("DELETE", "/v1/videos/video_x"), ("POST", "/v1/videos/video_x/cancel"), ("GET", "/v1/videos/video_x/content"),
    ("HEAD", "/v1/videos/video_x/content"), ("POST", "/v1/videos/video_x/remix"), ("POST", "/v1/images/generations"),
    ("POST", "/v1/videos:cancel"), ("POST", "/v1/videos:estimate"), ("POST", "/v1/webhooks/secrets"),
    ("GET", "/v1/webhooks/secrets"), ("DELETE", "/v1/webhooks/secrets/x"), ("GET", "/v1/webhooks/deliveries"),
    ("GET", "/v1/webhooks/deliveries/x"), ("POST", "/v1/webhooks/deliveries/x/redeliver"),
    ("GET", "/v1/images/image_x/content"), ("DELETE", "/v1/images/image_x"), ("GET", "/v1/images"),
    ("GET", "/v1/images/image_x"), ("POST", "/v1/images:estimate"), ("POST", "/v1/images/image_x/remix"),
    ("GET", "/v1/models"), ("GET", "/v1/models/wan-test"), ("GET", "/metrics"),
    ("GET", "/v1/usage"), ("GET", "/v1/status"), ("POST", "/v1/studies"), ("GET", "/v1/studies"),
    ("GET", "/v1/studies/x"), ("DELETE", "/v1/studies/x"), ("POST", "/v1/studies/x/invitations"),
    ("DELETE", "/v1/studies/x/invitations/y"),
    ("GET", "/v1/studies/x/results"), ("GET", "/v1/studies/x/results.csv"), ("POST", "/v1/ballots"),
    ("GET", "/v1/ballots/x"), ("GET", "/v1/ballots/x/pairs/1"), ("PUT", "/v1/ballots/x/pairs/1"),
    ("GET", "/v1/ballots/x/pairs/1/left"),
    ("GET", "/v1/events"), ("GET", "/v1/videos/video_x/events"), ("GET", "/v1/images/image_x/events"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_key_nothing_is_answered(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="scalingcache"'
    if method != "HEAD":
        error = response.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "missing_api_key", None)
        assert "Authorization: Bearer" in error["message"]


@pytest.mark.parametrize(
    "sent", [NOBODYS_KEY, "none", "x" * 10_000, "\u00fc".encode().decode("latin-1"), f"{NOBODYS_KEY} {NOBODYS_KEY}"]
)
def test_a_wrong_key_is_refused_and_not_repeated(client: TestClient, sent: str) -> None:
    with capture_logs() as lines:
        response = client.get("/v1/videos", headers={"authorization": f"Bearer {sent}".encode("latin-1")})
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == 'Bearer realm="scalingcache", error="invalid_token"'
    assert sent not in response.text and sent not in str(lines)


def test_a_key_comes_once_and_as_a_bearers(settings: Settings, client: TestClient) -> None:
    key = a_key(settings)
    good, twice = f"Bearer {key}", [("authorization", f"Bearer {key}"), ("authorization", "Bearer x")]
    assert client.get("/v1/videos", headers={"authorization": good.lower().replace(key.lower(), key)}).is_success
    assert client.get("/v1/videos", headers=twice).status_code == 401  # type: ignore[arg-type]
    for header in (f"Basic {key}", key, "Bearer", "Bearer ", ""):
        assert client.get("/v1/videos", headers={"authorization": header}).status_code == 401
    assert client.get("/v1/videos", params={"api_key": key}).status_code == 401


def test_the_body_of_a_request_without_a_key_is_not_read(client: TestClient) -> None:
    for headers in ({}, bearer(NOBODYS_KEY)):
        response = client.post("/v1/videos", content=b"{", headers={"content-type": "application/json", **headers})
        assert response.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/videos", "generate"), ("DELETE", "/v1/videos/video_x", "generate"),
        ("POST", "/v1/videos/video_x/cancel", "generate"), ("POST", "/v1/images/generations", "generate"),
        ("GET", "/v1/videos", "read"), ("GET", "/v1/videos/video_x", "read"), ("GET", "/v1/models", "read"),
        ("GET", "/v1/videos/video_x/content", "read"), ("GET", "/v1/images/image_x/content", "read"),
        ("POST", "/v1/videos/video_x/remix", "generate"), ("POST", "/v1/videos:cancel", "generate"),
        ("POST", "/v1/images/image_x/remix", "generate"),
        ("POST", "/v1/webhooks/secrets", "generate"), ("DELETE", "/v1/webhooks/secrets/x", "generate"),
        ("POST", "/v1/webhooks/deliveries/x/redeliver", "generate"),
        ("POST", "/v1/videos:estimate", "read"), ("GET", "/v1/webhooks/secrets", "read"),
        ("POST", "/v1/images:estimate", "read"), ("GET", "/v1/images", "read"), ("GET", "/v1/images/image_x", "read"),
        ("GET", "/v1/webhooks/deliveries", "read"),
        ("GET", "/metrics", "admin"), ("GET", "/v1/status", "admin"),
        ("POST", "/v1/studies", "generate"), ("GET", "/v1/studies", "read"), ("GET", "/v1/studies/x", "read"),
        ("DELETE", "/v1/studies/x", "generate"), ("POST", "/v1/studies/x/invitations", "generate"),
        ("DELETE", "/v1/studies/x/invitations/y", "generate"), ("GET", "/v1/studies/x/results", "read"),
        ("GET", "/v1/studies/x/results.csv", "read"),
    ],
)  # fmt: skip
def test_a_key_without_the_scope_is_told_which(
    settings: Settings, client: TestClient, method: str, path: str, scope: str
) -> None:
    others = [each for each in Scope if each != scope]
    response = client.request(method, path, headers=bearer(a_key(settings, "acme", *others)))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "insufficient_scope")
    assert f"lacks the scope {scope!r}," in response.json()["error"]["message"]
    assert f'error="insufficient_scope", scope="{scope}"' in response.headers["www-authenticate"]
    allowed = client.request(method, path, headers=bearer(a_key(settings, "acme", Scope(scope))))
    assert allowed.status_code not in (401, 403)


def same(one: Any, other: Any, *ids: str) -> bool:
    """Whether two answers are alike but for the ids that were asked for."""
    texts = [response.text.replace(job_id, "ID") for response, job_id in zip((one, other), ids, strict=True)]
    headers = [set(response.headers) - {"x-request-id"} for response in (one, other)]
    return bool(one.status_code == other.status_code and texts[0] == texts[1] and headers[0] == headers[1])


@pytest.mark.parametrize("state", ["queued", "running", "completed"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("HEAD", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/content")]
)
def test_another_accounts_video_is_answered_as_one_that_does_not_exist(
    acme: TestClient, beta: TestClient, worker: FakeWorker, state: str, method: str, path: str
) -> None:
    video_id, nobodys = create(acme)["id"], new_job_id("wan-test")
    if state == "running":
        worker.claim()
    elif state == "completed":
        worker.run_one()
    before = acme.get(f"/v1/videos/{video_id}").json()
    foreign = beta.request(method, f"/v1/videos/{video_id}{path}")
    missing = beta.request(method, f"/v1/videos/{nobodys}{path}")
    assert foreign.status_code == 404 and same(foreign, missing, video_id, nobodys)
    after = acme.get(f"/v1/videos/{video_id}").json()
    assert {key: after[key] for key in after if "eta" not in key} == {
        key: before[key] for key in before if "eta" not in key
    }


def test_lists_places_and_idempotency_keys_are_an_accounts_own(acme: TestClient, beta: TestClient) -> None:
    video_id, nobodys = create(acme)["id"], new_job_id("wan-test")
    assert beta.get("/v1/videos").json()["data"] == []
    foreign, missing = (beta.get("/v1/videos", params={"after": each}) for each in (video_id, nobodys))
    assert foreign.status_code == 400 and same(foreign, missing, video_id, nobodys)
    for headers in ({"idempotency-key": "k"}, {"x-stainless-retry-count": "1"}):
        made = [client.post("/v1/videos", json=BODY, headers=headers).json()["id"] for client in (acme, acme, beta)]
        assert made[0] == made[1] != made[2]
    other = beta.post("/v1/videos", json=BODY | {"seed": 1}, headers={"idempotency-key": "k"})
    assert other.json()["error"]["code"] == "idempotency_conflict", "with its own first body, not with acme's"
    assert [video["id"] for video in beta.get("/v1/videos").json()["data"]].count(made[2]) == 1


def test_all_keys_of_an_account_see_what_any_of_them_made(settings: Settings, acme: TestClient) -> None:
    video_id = create(acme)["id"]
    second = a_key(settings, "acme", Scope.READ)
    assert acme.get(f"/v1/videos/{video_id}", headers=bearer(second)).json()["id"] == video_id


def test_results_lie_in_a_folder_of_their_account(acme: TestClient, worker: FakeWorker, settings: Settings) -> None:
    create(acme)
    worker.run_one()
    assert [path.name for path in settings.artifacts.iterdir() if path.is_dir()] == ["acme"]


def test_the_log_says_whose_key_it_was_and_never_the_key(settings: Settings, client: TestClient) -> None:
    key = a_key(settings)
    with capture_logs() as lines:
        client.get("/v1/videos", headers=bearer(key))
        client.get("/v1/videos")
    first, second = [line for line in lines if line["event"] == "request"]
    assert (first["account"], first["api_key"]) == ("acme", key.split("_")[1])
    assert (second["account"], second["error"]) == (None, "missing_api_key")
    assert key.split("_", 2)[2] not in str(lines)


def test_a_revoked_key_is_refused_once_the_moment_of_trust_is_over(settings: Settings, redis_url: str) -> None:
    app, key, now = create_app(settings), a_key(settings), [0.0]
    app.state.resources.authentication._clock = lambda: now[0]
    with TestClient(app, headers=bearer(key)) as client:
        assert client.get("/v1/models").is_success
        accounts_of(settings).revoke(key.split("_")[1])
        now[0] = 1.9
        assert client.get("/v1/models").is_success, "what was asked for a moment ago is not asked again"
        now[0] = 2.0
        assert client.get("/v1/models").status_code == 401


def test_while_redis_is_away_nobody_is_let_in_and_nobody_is_told_that_their_key_is_wrong(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with capture_logs() as lines, TestClient(create_app(away)) as client:
        response = client.get("/v1/models", headers=bearer(NOBODYS_KEY))
        assert (response.status_code, response.json()["error"]["code"]) == (503, "queue_unavailable")
        assert client.get("/v1/models").status_code == 401
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz", headers=bearer(NOBODYS_KEY))
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "checks": {}})
    assert any(line["event"].startswith("Redis cannot be reached") for line in lines)


def test_the_start_says_that_there_are_no_keys_or_none_that_fit(settings: Settings, tmp_path: Path) -> None:
    def said() -> list[str]:
        with capture_logs() as lines, TestClient(create_app(settings)) as client:
            client.get("/healthz")
        return [line["event"] for line in lines if "API key" in line["event"]]

    assert said() == ["no API key yet"]
    admin = a_key(settings, "ops", Scope.ADMIN)
    assert said() == []
    (tmp_path / "pepper").write_text("another pepper that is long enough too")
    assert said() == ["no API key is valid"]
    with TestClient(create_app(settings.model_copy(update={"status_access": "open"}))) as client:
        assert client.get("/metrics", headers=bearer(admin)).status_code == 401
        check = client.get("/readyz").json()["checks"]["api_keys"]
        assert check == {"ok": False, "detail": "were made with another pepper"}


@pytest.mark.parametrize("what", ["metrics", "docs"])
@pytest.mark.parametrize(
    ("access", "statuses"), [("open", [200, 200, 200]), ("admin", [401, 403, 200]), ("off", [404, 404, 404])]
)
def test_metrics_and_docs_are_for_whom_their_settings_say(
    settings: Settings, what: str, access: str, statuses: list[int]
) -> None:
    paths = {
        "metrics": ["/metrics"],
        "docs": ["/docs", "/docs/start.js", "/docs/assets/swagger-ui.css", "/openapi.json"],
    }[what]
    with TestClient(create_app(settings.model_copy(update={f"{what}_access": access}))) as client:
        callers = [{}, bearer(a_key(settings)), bearer(a_key(settings, "ops", Scope.ADMIN))]
        for path in paths:
            for method in ("GET", "HEAD"):
                assert [client.request(method, path, headers=each).status_code for each in callers] == statuses


@pytest.mark.parametrize(("access", "shown"), [("open", [True, True, True]), ("admin", [False, False, True])])
def test_what_is_not_ready_is_told_to_whom_the_setting_says(settings: Settings, access: str, shown: list[bool]) -> None:
    with TestClient(create_app(settings.model_copy(update={"status_access": access}))) as client:
        callers = [{}, bearer(a_key(settings)), bearer(a_key(settings, "ops", Scope.ADMIN))]
        answers = [client.get("/readyz", headers=each) for each in callers]
    assert [bool(answer.json()["checks"]) for answer in answers] == shown
    assert {answer.status_code for answer in answers} == {503}, "no worker lives"


def test_the_documentation_says_that_calls_need_a_key(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    for path, calls in document["paths"].items():
        needed = [call["security"] != [] and {} not in call["security"] for call in calls.values()]
        assert needed == [path.startswith("/v1/")] * len(calls), path
