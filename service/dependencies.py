"""What the endpoints work with, built once by the application and handed to each of them."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Self

from anyio import CapacityLimiter
from fastapi import Depends, Request

from service.accounts import Accounts
from service.addresses import Network, Resolver
from service.admission import Admission
from service.authentication import Authentication
from service.broadcast import Broadcast
from service.metrics import Metrics
from service.outlook import Outlook
from service.patience import Patience
from service.pepper import read_pepper
from service.pictures import MOST_DOWNLOADS, Pictures
from service.retention import retention_of
from service.settings import Access, Settings
from service.studies import Studies
from service.telling import Telling
from service.webhook_secrets import WebhookSecrets
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.breaker import Breaker
from workers.jobs.connection import Connection
from workers.jobs.deliveries import Deliveries
from workers.jobs.errors import InvalidRequest
from workers.jobs.events import Events
from workers.jobs.finished import FinishedJobs
from workers.jobs.live import LiveEvents
from workers.jobs.object_store import ObjectStore
from workers.jobs.presence import Presence
from workers.jobs.queue import Jobs, QueueLimits
from workers.jobs.s3_location import BRIEF
from workers.jobs.storage import open_store
from workers.jobs.store_binding import StoreBinding
from workers.jobs.token_counts import TokenCounts
from workers.models.catalogue import Catalogue

DECODERS = 1  # at a time: `workers.media.decoder` says how much memory one may take
#: How long a call waits for one answer of Redis.
CALL_SECONDS = 1.5
#: The same of what machines ask; a scrape has a deadline of its own, after which their next try comes.
PROBE_SECONDS = 0.5
#: How long the store's file system is waited for.
STORE_SECONDS = 2.0
#: How many calls may wait for their images at a time.
IMAGE_CALLS = 100
#: How many calls may wait for a video at a time; with those above fewer than there are readers of events.
WAITING_CALLS = 500
#: Of what machines ask, how many at a time: never behind the calls of users, nor in front of them.
PROBES = 4


@dataclass(frozen=True)
class Resources:
    """Everything that outlives a request. Of the queue only the client's side: no lease can be taken or settled here.

    authentication: who calls. accounts: for who asks after the service itself; None where nobody has keys.
    webhook_secrets: None where there are no webhooks. webhook_allowed: networks they may go to besides public ones.
    link_seconds: how long links to results in a bucket hold; None where the service sends these itself.
    pictures: downloads images that requests name by URL.
    public_url: where clients reach the service, if that is set.
    image_seconds: how long a call waits for its images. image_calls: limits how many do at a time.
    waiting_calls: limits how many calls wait for a video at a time.
    outlook: foretells when jobs have their results.
    telling: puts what happens to jobs into words for streams. broadcast: brings it to all that are open.
    heartbeat_seconds: how long a stream may be silent.
    served_since: when the catalogue was last written, in Unix seconds. clock: tells Unix seconds.
    decoders: limits the images that are decoded at a time.
    probes: the threads of health and metrics, whose connection to Redis is their own too.
    store_patience: how long they wait for the store.
    """

    catalogue: Catalogue
    served_since: int
    connection: Connection
    jobs: Jobs
    finished: FinishedJobs
    admission: Admission
    events: Events
    presence: Presence
    token_counts: TokenCounts
    outlook: Outlook
    probe_connection: Connection
    artifacts: ArtifactStore | ObjectStore
    link_seconds: float | None
    binding: StoreBinding
    metrics: Metrics
    authentication: Authentication
    accounts: Accounts | None
    metrics_access: Access
    status_access: Access
    docs_access: Access
    deliveries: Deliveries
    studies: Studies
    webhook_secrets: WebhookSecrets | None
    webhook_allowed: tuple[Network, ...]
    pictures: Pictures
    public_url: str | None
    image_seconds: float
    telling: Telling
    broadcast: Broadcast
    heartbeat_seconds: float
    clock: Callable[[], float] = time.time
    decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(DECODERS))
    image_calls: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(IMAGE_CALLS))
    waiting_calls: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(WAITING_CALLS))
    probes: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(PROBES))
    store_patience: Patience = field(default_factory=lambda: Patience(STORE_SECONDS))

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Raises `CatalogueError`, `ConfigurationError`. Redis need not be there yet."""
        catalogue = settings.read_catalogue()
        pepper = read_pepper(settings.pepper_file) if settings.authentication == "keys" else None
        connection = Connection(settings.redis_address, command_seconds=CALL_SECONDS, retries=1, breaker=Breaker())
        probe_connection = Connection(settings.redis_address, command_seconds=PROBE_SECONDS, retries=1)
        artifacts = open_store(settings.artifacts, settings.s3, BRIEF)
        presence = Presence(connection)
        outlook = Outlook(connection, presence, catalogue)
        jobs = Jobs(
            connection,
            retention_seconds=settings.retention_seconds,
            retention_of=retention_of(settings.account_retention),
            limits=QueueLimits(
                settings.max_queued, settings.max_queued_per_tenant, settings.max_queued_cost_per_tenant or 0
            ),
            next_start=outlook.next_start,
        )
        telling = Telling(jobs, catalogue, outlook)
        metrics = Metrics(probe_connection, catalogue, artifacts)
        return cls(
            catalogue=catalogue,
            served_since=int(settings.catalogue.stat().st_mtime),
            connection=connection,
            jobs=jobs,
            finished=FinishedJobs(connection),
            admission=Admission(
                connection, settings.submissions_per_minute, settings.submissions_burst, settings.max_cost
            ),
            events=Events(settings.redis_address),
            token_counts=TokenCounts(connection),
            presence=presence,
            outlook=outlook,
            probe_connection=probe_connection,
            artifacts=artifacts,
            link_seconds=settings.storage_link_seconds,
            binding=StoreBinding(artifacts, probe_connection),
            metrics=metrics,
            authentication=Authentication(None if pepper is None else Accounts(connection, pepper)),
            accounts=None if pepper is None else Accounts(probe_connection, pepper),
            metrics_access=settings.metrics_access,
            status_access=settings.status_access,
            docs_access=settings.docs_access,
            deliveries=Deliveries(connection),
            studies=Studies(connection, settings.study_seconds),
            webhook_secrets=WebhookSecrets(connection, root) if (root := settings.webhook_root) else None,
            webhook_allowed=settings.webhook_allowed,
            pictures=Pictures(settings.input_hosts, Resolver(MOST_DOWNLOADS)),
            public_url=settings.public_url,
            image_seconds=settings.image_seconds,
            telling=telling,
            broadcast=Broadcast(
                LiveEvents(settings.redis_address),
                telling,
                metrics,
                most=settings.max_streams,
                most_of_account=settings.max_streams_per_account,
            ),
            heartbeat_seconds=settings.heartbeat_seconds,
        )

    async def close(self) -> None:
        """End the streams, and close the connections to Redis."""
        self.broadcast.end()
        self.connection.close()
        self.probe_connection.close()
        await self.events.close()
        await self.pictures.close()


# Not plain functions: for those FastAPI takes one of the threads that all calls share, and waits for one.
async def _resources(request: Request) -> Resources:
    resources = request.app.state.resources
    assert isinstance(resources, Resources)
    return resources


async def sent_once(request: Request) -> None:
    """Raises `InvalidRequest` for what is sent twice, of which one would count and the other not."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    if len(request.headers.getlist("idempotency-key")) > 1:
        names["Idempotency-Key"] = 2
    for name, count in names.items():
        if count > 1:
            raise InvalidRequest(name, f"{name[:80]} was sent more than once; send it once")


ResourcesDep = Annotated[Resources, Depends(_resources)]
