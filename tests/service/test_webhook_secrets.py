"""Secrets follow from the operator's own; Redis has their ids alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import redis
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from service.webhook_secrets import MOST_SECRETS, SecretNotFound, WebhookSecrets
from tests.queues import Queue
from workers.jobs.errors import InvalidRequest

ROOT = b"r" * 32
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture
def secrets(queue: Queue) -> WebhookSecrets:
    return WebhookSecrets(queue.connection, ROOT)


def headers(secrets: WebhookSecrets, tenant: str = "acme") -> dict[str, str]:
    sent = int(datetime.now(UTC).timestamp())  # The library looks at the clock.
    signatures = secrets.signatures(tenant, "msg_1", sent, "{}")
    return {"webhook-id": "msg_1", "webhook-timestamp": str(sent), "webhook-signature": signatures}


def test_receivers_of_the_old_and_of_the_new_secret_take_a_message_until_the_old_one_is_deleted(
    secrets: WebhookSecrets,
) -> None:
    old, old_text = secrets.create("acme", NOW - 10)
    new, new_text = secrets.create("acme", NOW)
    for text in (old_text, new_text):
        Webhook(text).verify("{}", headers(secrets))
    assert secrets.all("acme") == [old, new]
    secrets.delete("acme", old.id)
    Webhook(new_text).verify("{}", headers(secrets))
    with pytest.raises(WebhookVerificationError):
        Webhook(old_text).verify("{}", headers(secrets))


def test_there_are_two_at_a_time_also_where_many_are_made_at_once(secrets: WebhookSecrets) -> None:
    secrets.create("acme", NOW)

    def create(_: int) -> bool:
        try:
            secrets.create("acme", NOW)
        except InvalidRequest:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(create, range(8)))
    assert len(secrets.all("acme")) == 1 + made <= MOST_SECRETS
    while len(secrets.all("acme")) < MOST_SECRETS:
        secrets.create("acme", NOW)
    with pytest.raises(InvalidRequest, match="delete one"):
        secrets.create("acme", NOW)


def test_redis_has_nothing_to_sign_with(secrets: WebhookSecrets, redis_url: str) -> None:
    _, text = secrets.create("acme", NOW)
    with redis.Redis.from_url(redis_url) as raw:
        stored = b" ".join(value for key in raw.keys("*") for pair in raw.hgetall(key).items() for value in pair)
    assert b"check" in stored
    assert text.removeprefix("whsec_").encode() not in stored and ROOT not in stored


def test_each_tenant_and_each_secret_is_another(secrets: WebhookSecrets) -> None:
    texts = [secrets.create(tenant, NOW)[1] for tenant in ("acme", "acme", "other")]
    assert len(set(texts)) == 3
    with pytest.raises(WebhookVerificationError):
        Webhook(texts[0]).verify("{}", headers(secrets, "other"))


def test_another_root_signs_nothing_rather_than_wrongly(secrets: WebhookSecrets, queue: Queue) -> None:
    secrets.create("acme", NOW)
    elsewhere = WebhookSecrets(queue.connection, b"s" * 32)
    assert elsewhere.signatures("acme", "msg_1", NOW, "{}") == ""
    assert secrets.can_sign("acme") and not elsewhere.can_sign("acme") and not secrets.can_sign("other")
    _, text = elsewhere.create("acme", NOW)
    Webhook(text).verify("{}", headers(elsewhere))


def test_another_tenants_secret_is_not_found(secrets: WebhookSecrets) -> None:
    made, _ = secrets.create("acme", NOW)
    with pytest.raises(SecretNotFound):
        secrets.delete("other", made.id)
    assert secrets.all("acme") == [made] and secrets.all("other") == []
