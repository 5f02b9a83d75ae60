"""The webhook calls: the secrets that messages are signed with, and what became of each message."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from service.dependencies import Resources, ResourcesDep
from service.errors import NotSupported
from service.permissions import Maker, Reader
from service.served import known_models
from service.webhook_secrets import SigningSecret, WebhookSecrets
from workers.jobs.deliveries import Delivery, DeliveryState

router = APIRouter(tags=["webhooks"])


class Secret(BaseModel):
    """A secret that messages are signed with."""

    id: str
    object: Literal["webhook.secret"] = "webhook.secret"
    created_at: int


class NewSecret(Secret):
    """A secret as it is shown once."""

    secret: str = Field(description="`whsec_...`, for a Standard Webhooks library; it cannot be asked for again.")


class SecretList(BaseModel):
    """The secrets, the oldest first. Each message carries a signature by each of them."""

    object: Literal["list"] = "list"
    data: list[Secret]


class SecretDeleted(BaseModel):
    """Says that nothing is signed with the secret any more."""

    id: str
    object: Literal["webhook.secret.deleted"] = "webhook.secret.deleted"
    deleted: Literal[True] = True


class WebhookDelivery(BaseModel):
    """A message to a receiver, and what became of it. Times are whole Unix seconds."""

    id: str = Field(description="The header `webhook-id`, the same at each attempt.")
    object: Literal["webhook.delivery"] = "webhook.delivery"
    type: str = Field(description="The event, such as `video.completed`.")
    data: dict[str, str] = Field(description="`id`: that of the video or image.")
    url: str
    state: DeliveryState = Field(
        description="`pending` until the next attempt, `sending`, `delivered`, or `failed` after the last one."
    )
    attempts: int = Field(description="How many there were, the one under way included.")
    created_at: int
    last_attempt_at: int | None
    next_attempt_at: int | None
    status: int | None = Field(description="HTTP status of the answer to the last attempt; null without one.")
    error: str | None = Field(description="Why the last attempt was none that counts.")
    seconds: float | None = Field(description="How long the last attempt took.")


class DeliveryList(BaseModel):
    """A page of deliveries, newest first."""

    object: Literal["list"] = "list"
    data: list[WebhookDelivery]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(description="Whether there is another page, `after` the last id of this one.")


@router.post("/v1/webhooks/secrets")
def create_secret(resources: ResourcesDep, tenant: Maker) -> NewSecret:
    """Make a secret, beside the one that there is: receivers take both until that is deleted. Two at a time."""
    made, text = _secrets(resources).create(tenant, resources.clock())
    return NewSecret(id=made.id, created_at=made.created_at, secret=text)


@router.get("/v1/webhooks/secrets")
def list_secrets(resources: ResourcesDep, tenant: Reader) -> SecretList:
    """List the secrets, without the secrets themselves."""
    return SecretList(data=[_shown(secret) for secret in _secrets(resources).all(tenant)])


@router.delete("/v1/webhooks/secrets/{secret_id}")
def delete_secret(resources: ResourcesDep, tenant: Maker, secret_id: str) -> SecretDeleted:
    """Sign nothing more with a secret. Without any, nothing is sent, and no request may name a receiver."""
    _secrets(resources).delete(tenant, secret_id)
    return SecretDeleted(id=secret_id)


@router.get("/v1/webhooks/deliveries")
def list_deliveries(
    resources: ResourcesDep,
    tenant: Reader,
    after: Annotated[str | None, Query(description="The last id of the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DeliveryList:
    """List deliveries page by page, newest first: those that are pending, and those that ended within a week."""
    models = known_models(resources.presence, list(resources.catalogue.entries))
    found, more = resources.deliveries.page(tenant, models, after=after, limit=limit)
    return DeliveryList(
        data=[_delivery(each) for each in found],
        first_id=found[0].id if found else None,
        last_id=found[-1].id if found else None,
        has_more=more,
    )


@router.get("/v1/webhooks/deliveries/{delivery_id}")
def retrieve_delivery(resources: ResourcesDep, tenant: Reader, delivery_id: str) -> WebhookDelivery:
    """Retrieve a delivery."""
    return _delivery(resources.deliveries.get(tenant, delivery_id))


@router.post("/v1/webhooks/deliveries/{delivery_id}/redeliver")
def redeliver(resources: ResourcesDep, tenant: Maker, delivery_id: str) -> WebhookDelivery:
    """Send a message again, under the same id. One that is being sent at this moment stays as it is."""
    return _delivery(resources.deliveries.redeliver(tenant, delivery_id))


def _secrets(resources: Resources) -> WebhookSecrets:
    if resources.webhook_secrets is None:
        raise NotSupported(
            "path", "this service sends no webhooks: its operator has set no SCALINGCACHE_WEBHOOK_SECRET"
        )
    return resources.webhook_secrets


def _shown(secret: SigningSecret) -> Secret:
    return Secret(id=secret.id, created_at=secret.created_at)


def _delivery(delivery: Delivery) -> WebhookDelivery:
    return WebhookDelivery(
        id=delivery.id,
        type=delivery.type,
        data={"id": delivery.job},
        url=delivery.url,
        state=delivery.state,
        attempts=delivery.attempts,
        created_at=int(delivery.created_at),
        last_attempt_at=_whole(delivery.attempted_at),
        next_attempt_at=_whole(delivery.due_at) if delivery.state == "pending" else None,
        status=delivery.status,
        error=delivery.error,
        seconds=delivery.seconds,
    )


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
