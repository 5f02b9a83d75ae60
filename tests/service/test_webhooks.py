"""The webhook calls, and the field of a request that asks for one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from service.app import create_app
from service.settings import Settings
from service.webhook_secrets import WebhookSecrets
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import MODEL, FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, live_image_worker
from tests.service.settings import settings_in
from workers.jobs import keys
from workers.jobs.deliveries import Outbox

URL = "https://hooks.example.com/done"


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def secret(client: TestClient) -> str:
    return str(client.post("/v1/webhooks/secrets").json()["secret"])


@pytest.fixture
def outbox(queue: Queue) -> Outbox:
    return Outbox(queue.connection)


def listed(client: TestClient, **query: Any) -> dict[str, Any]:
    response = client.get("/v1/webhooks/deliveries", params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


def test_a_video_names_its_receiver_and_its_end_is_a_delivery(
    client: TestClient, worker: FakeWorker, secret: str
) -> None:
    video = create(client, webhook_url="https://Hooks.Example.com/done")
    assert video["webhook_url"] == URL
    assert listed(client)["data"] == []
    worker.run_one()
    [delivery] = listed(client)["data"]
    assert delivery["data"] == {"id": video["id"]}
    assert (delivery["type"], delivery["url"], delivery["state"]) == ("video.completed", URL, "pending")
    assert delivery["next_attempt_at"] == delivery["created_at"] and delivery["attempts"] == 0
    assert client.get(f"/v1/webhooks/deliveries/{delivery['id']}").json() == delivery


def test_a_video_without_a_receiver_says_so(client: TestClient) -> None:
    assert create(client)["webhook_url"] is None


def test_a_receiver_is_refused_where_all_secrets_are_of_another_root(client: TestClient, queue: Queue) -> None:
    WebhookSecrets(queue.connection, b"s" * 32).create("default", 1_795_000_000)
    body = {"prompt": "a red ball", "model": MODEL, "webhook_url": URL}
    answer = client.post("/v1/videos", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "webhook_url")
    client.post("/v1/webhooks/secrets")
    assert client.post("/v1/videos", json=body).status_code == 200


def test_each_image_is_a_delivery_of_its_own(client: TestClient, settings: Settings, secret: str) -> None:
    body = {"prompt": "a red ball", "model": IMAGE_MODEL, "n": 2, "webhook_url": URL}
    with live_image_worker(settings):
        images = client.post("/v1/images/generations", json=body).json()["data"]
    deliveries = listed(client)["data"]
    assert {delivery["type"] for delivery in deliveries} == {"image.completed"}
    assert {delivery["data"]["id"] for delivery in deliveries} == {image["id"] for image in images}


def test_images_that_failed_and_that_were_cancelled_for_it_are_told_of(
    client: TestClient, settings: Settings, secret: str
) -> None:
    body = {"prompt": "impossible", "model": IMAGE_MODEL, "n": 1, "webhook_url": URL}
    with live_image_worker(settings):
        assert client.post("/v1/images/generations", json=body).status_code == 500
    assert [delivery["type"] for delivery in listed(client)["data"]] == ["image.failed"]


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://169.254.169.254/", "not public"), ("ftp://x.test", "https://"), (7, "string"), ("", "ASCII")],
)
def test_a_receiver_that_could_never_be_called_is_refused_before_any_job_is_made(
    client: TestClient, queue: Queue, secret: str, url: object, says: str
) -> None:
    for path, model in (("/v1/videos", MODEL), ("/v1/images/generations", IMAGE_MODEL)):
        body = {"prompt": "a red ball", "model": model, "webhook_url": url}
        response = client.post(path, json=body, headers={"idempotency-key": "k"} if model == MODEL else {})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "webhook_url" and says in response.json()["error"]["message"]
        assert queue.inspection.depth(model).queued == 0
    create(client)


def test_a_key_is_not_spent_on_a_receiver_that_was_refused(client: TestClient, secret: str) -> None:
    headers = {"idempotency-key": "k"}
    body = {"prompt": "a red ball", "webhook_url": "http://10.0.0.1/"}
    assert client.post("/v1/videos", json=body, headers=headers).status_code == 400
    assert client.post("/v1/videos", json=body | {"webhook_url": URL}, headers=headers).status_code == 200


def test_without_a_secret_no_request_may_name_a_receiver(client: TestClient) -> None:
    response = client.post("/v1/videos", json={"prompt": "a red ball", "webhook_url": URL})
    assert response.status_code == 400
    assert "POST /v1/webhooks/secrets" in response.json()["error"]["message"]


def test_secrets_are_made_listed_and_deleted_and_shown_once(client: TestClient) -> None:
    made = [client.post("/v1/webhooks/secrets").json() for _ in range(2)]
    assert all(Webhook(each["secret"]) and each["secret"].startswith("whsec_") for each in made)
    assert made[0]["secret"] != made[1]["secret"]
    shown = client.get("/v1/webhooks/secrets").json()["data"]
    assert [each["id"] for each in shown] == [each["id"] for each in made] or len({e["created_at"] for e in made}) == 1
    assert all(set(each) == {"id", "object", "created_at"} for each in shown)
    response = client.post("/v1/webhooks/secrets")
    assert response.status_code == 400 and "delete one" in response.json()["error"]["message"]
    gone = client.delete(f"/v1/webhooks/secrets/{made[0]['id']}").json()
    assert gone == {"id": made[0]["id"], "object": "webhook.secret.deleted", "deleted": True}
    assert client.delete(f"/v1/webhooks/secrets/{made[0]['id']}").status_code == 404


def test_a_delivery_is_sent_again_by_hand(client: TestClient, secret: str, outbox: Outbox) -> None:
    video = create(client, webhook_url=URL)
    client.post(f"/v1/videos/{video['id']}/cancel")
    [leased] = outbox.lease(MODEL, [])
    outbox.failed(leased, status=410, error="the receiver answered 410", seconds=0.5)
    [failed] = listed(client)["data"]
    assert (failed["state"], failed["status"], failed["error"]) == ("failed", 410, "the receiver answered 410")
    assert failed["next_attempt_at"] is None and failed["last_attempt_at"] is not None
    again = client.post(f"/v1/webhooks/deliveries/{failed['id']}/redeliver")
    assert again.status_code == 200 and again.json()["state"] == "pending"
    [leased] = outbox.lease(MODEL, [])
    assert leased.delivery.id == failed["id"]


@pytest.mark.parametrize("call", ["GET ", "POST /redeliver"])
def test_another_delivery_than_ones_own_is_not_found(client: TestClient, call: str) -> None:
    method, _, rest = call.partition(" ")
    for delivery in ("msg_wan-test_" + "0" * 32, "nothing", "video_wan-test_" + "0" * 32):
        response = client.request(method, f"/v1/webhooks/deliveries/{delivery}{rest}")
        assert response.status_code == 404 and response.json()["error"]["code"] == "not_found"


def test_deliveries_come_in_pages(client: TestClient, secret: str) -> None:
    videos = [create(client, webhook_url=URL) for _ in range(3)]
    for video in videos:
        client.post(f"/v1/videos/{video['id']}/cancel")
    first = listed(client, limit=2)
    rest = listed(client, limit=2, after=first["last_id"])
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [each["data"]["id"] for each in first["data"] + rest["data"]] == [video["id"] for video in videos[::-1]]
    assert client.get("/v1/webhooks/deliveries", params={"after": "x"}).status_code == 400


def test_prometheus_sees_what_is_still_to_be_delivered(client: TestClient, secret: str, redis_url: str) -> None:
    video = create(client, webhook_url=URL)
    client.post(f"/v1/videos/{video['id']}/cancel")
    with redis.Redis.from_url(redis_url, decode_responses=True) as raw:
        raw.zadd(keys.undelivered(MODEL), {raw.zrange(keys.undelivered(MODEL), 0, 0)[0]: 1})
    samples = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    assert samples[f'scalingcache_webhook_pending{{model="{MODEL}"}}'] == "1.0"
    assert float(samples[f'scalingcache_webhook_oldest_age_seconds{{model="{MODEL}"}}']) > 1_000_000
    assert samples[f'scalingcache_webhook_pending{{model="{IMAGE_MODEL}"}}'] == "0.0"


@pytest.fixture
def without(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings.model_copy(update={"webhook_secret": None}))) as client:
        yield client


def test_a_service_that_sends_none_says_so(without: TestClient) -> None:
    response = without.post("/v1/webhooks/secrets")
    assert response.status_code == 400 and response.json()["error"]["code"] == "not_supported"
    response = without.post("/v1/videos", json={"prompt": "a red ball", "webhook_url": URL})
    assert response.status_code == 400 and "sends no webhooks" in response.json()["error"]["message"]
    assert listed(without)["data"] == []
