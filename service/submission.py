"""From a request to its one job, however often the request arrives."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from service.client import unless_client_leaves
from service.decoding import fitted
from service.dependencies import Resources
from service.reference import PictureURL, Upload
from service.resolution import resolve_video
from service.reuse import kept_result
from service.schemas import CreateVideo
from service.served import check_loadable
from service.webhook_urls import webhook_url
from workers.jobs.artifacts import storage_errors
from workers.jobs.errors import InvalidRequest, JobNotFound, ModelUnavailable, QueueFull
from workers.jobs.job import GenerationRequest, Job, JobKey, JobState, Priority, new_job_id

IDEMPOTENCY_SECONDS = 86_400
RETRY_SECONDS = 60


class Order(Protocol):
    """What a job is beside its generation, by a body or by another job."""

    @property
    def priority(self) -> str: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def webhook_url(self) -> str | None: ...
    @property
    def deadline_seconds(self) -> float | None: ...
    @property
    def shares(self) -> bool:
        """Whether it may be computed together with an identical one."""

    @property
    def reuses(self) -> bool:
        """Whether it may get the result of one that has ended."""

    @property
    def remixed_from(self) -> str | None:
        """Id of the job whose settings it has."""

    def fingerprint(self) -> str:
        """Equal for equal requests."""


@dataclass(frozen=True)
class Arrival:
    """One arrival of a request: its idempotency key if it has one, and whether it came before as its client says.

    retry: None where the client says nothing of the kind.
    """

    tenant: str
    body: Order
    idempotency_key: str | None
    retry: bool | None

    @property
    def may_come_again(self) -> bool:
        """Whether another arrival can be for the same job, also at this moment: then the job's image is that one's
        too."""
        return self.idempotency_key is not None or self.retry is not None


async def submit_from_image(
    resources: Resources,
    arrival: Arrival,
    body: CreateVideo,
    reference: Upload | PictureURL,
    receive: Callable[[], Awaitable[Message]],
) -> Job:
    """The job of a request that brings an image, new or the one that an earlier arrival made.

    receive: the request's, whose body has been read. Raises `InvalidRequest`, `IdempotencyConflict`, `StorageFull`,
    `StorageFailed`, `QueueFull`, `ModelUnavailable`, `QueueUnavailable`, `Overloaded`, and `ClientDisconnect` once the
    client has left while its image is downloaded or decoded.
    """
    request = await run_in_threadpool(resolve_video, body, resources.catalogue)
    if isinstance(reference, PictureURL):
        resources.pictures.check(reference)
        if earlier := await run_in_threadpool(_made_before, resources, arrival):
            return earlier
        request, image = await unless_client_leaves(receive, _downloaded(resources, reference, request))
    else:
        image = await unless_client_leaves(receive, _decoded(resources, reference, request))
    return await run_in_threadpool(submit_request, resources, arrival, request, image)


def _made_before(resources: Resources, arrival: Arrival) -> Job | None:
    """The job of an earlier arrival, if there is one: what lies at its URL now no longer matters, nor whether it does.

    Raises `IdempotencyConflict`, `QueueUnavailable`.
    """
    jobs, fingerprint = resources.jobs, arrival.body.fingerprint()
    earlier = None
    if arrival.idempotency_key is not None:
        earlier = jobs.reserved(arrival.tenant, arrival.idempotency_key, fingerprint)
    elif arrival.retry:
        earlier = jobs.remembered(arrival.tenant, fingerprint)
    try:
        return None if earlier is None else jobs.get(earlier)
    except JobNotFound:
        return None


async def _downloaded(
    resources: Resources, picture: PictureURL, request: GenerationRequest
) -> tuple[GenerationRequest, bytes]:
    """The request that names the image by what it is, and the image."""
    upload = await resources.pictures.download(picture)
    with upload.file:
        image = await _decoded(resources, upload, request)
    return request.model_copy(update={"input_reference": upload.sha256}), image


async def _decoded(resources: Resources, upload: Upload, request: GenerationRequest) -> bytes:
    """It waits for its turn without one of the threads that all calls share."""
    if not isinstance(upload.file, BytesIO):
        with storage_errors("upload"):
            await run_in_threadpool(upload.file.fileno)  # From here on it is a file, also if it was small.
    async with resources.decoders:
        return await fitted(upload.file, request.width, request.height)


def submit_request(resources: Resources, arrival: Arrival, request: GenerationRequest, image: bytes | None) -> Job:
    """The job of this arrival, for what it asks to be generated, from an image that is kept with it where it has one.

    Raises `InvalidRequest`, `IdempotencyConflict`, `StorageFull`, `StorageFailed`, `QueueFull`, `ModelUnavailable`,
    `QueueUnavailable`.
    """
    resources.admission.check_cost(request)
    webhook = receiver_of(resources, arrival.tenant, arrival.body.webhook_url)
    new = JobKey(arrival.tenant, new_job_id(request.model))
    key = _key(resources, arrival, new)
    try:
        return _make(resources, arrival, key, request, image, webhook, is_new=key == new)
    except JobNotFound:  # Deleted while it ran, and not gone yet: the request is for a job of its own again.
        _key(resources, arrival, new, gone=key)
        return _make(resources, arrival, new, request, image, webhook, is_new=True)


def _make(
    resources: Resources,
    arrival: Arrival,
    key: JobKey,
    request: GenerationRequest,
    image: bytes | None,
    webhook: str | None,
    *,
    is_new: bool,
) -> Job:
    body = arrival.body
    workers = resources.presence.workers()
    try:
        check_loadable(workers, request.model)
    except ModelUnavailable:
        if is_new:
            raise
        return resources.jobs.get(key)
    if image is not None:  # Before the job, or a worker would miss it.
        resources.artifacts.keep_reference(key, image)
    try:
        job = resources.jobs.submit(
            key,
            priority=Priority(body.priority),
            request=request,
            metadata=body.metadata,
            webhook_url=webhook,
            remixed_from=body.remixed_from,
            deadline_seconds=body.deadline_seconds,
            shares=body.shares,
            result_of=kept_result(resources, key.tenant, request, workers) if body.reuses else None,
        )
    except QueueFull:
        if image is not None and not arrival.may_come_again:
            with suppress(OSError):  # The sweep comes after it.
                resources.artifacts.delete(key)
        raise
    if is_new:
        record_submission(resources, job)
    return job


def _key(resources: Resources, arrival: Arrival, new: JobKey, gone: JobKey | None = None) -> JobKey:
    """Which job the request makes, or has made: `new`, or that of an earlier arrival, unless that is `gone`.

    OpenAI's clients count retries but send no idempotency key. A first try must always make a new job, also of a body
    that came before, and the retry must then find that one; so each try of theirs that makes a job is remembered.
    """
    jobs, tenant = resources.jobs, arrival.tenant
    if arrival.idempotency_key is not None:
        fingerprint = arrival.body.fingerprint()
        return jobs.reserve(new, arrival.idempotency_key, fingerprint, IDEMPOTENCY_SECONDS, gone=gone)
    if arrival.retry is None:
        return new
    fingerprint = arrival.body.fingerprint()
    if arrival.retry and (earlier := jobs.remembered(tenant, fingerprint)) and earlier != gone:
        return earlier
    jobs.remember(new, fingerprint, RETRY_SECONDS)
    return new


def receiver_of(resources: Resources, tenant: str, url: str | None) -> str | None:
    """The receiver that a request names, as it is called. Raises `InvalidRequest` where nothing would ever be sent
    there, and `QueueUnavailable`."""
    if url is None:
        return None
    if resources.webhook_secrets is None:
        raise InvalidRequest(
            "webhook_url", "webhook_url: this service sends no webhooks; its operator has not set them up"
        )
    checked = webhook_url(url, resources.webhook_allowed)
    if not resources.webhook_secrets.can_sign(tenant):
        raise InvalidRequest(
            "webhook_url", "webhook_url needs a secret to sign with: POST /v1/webhooks/secrets makes one"
        )
    return checked


def record_submission(resources: Resources, job: Job) -> None:
    """Count and log a job that is new."""
    resources.metrics.job_submitted(job.request, job.priority, shares=job.result_of is not None)
    structlog.get_logger("service").info(
        "job submitted", job=job.id, model=job.request.model, sf=job.request.sf, result_of=job.result_of
    )


def cancel_job(resources: Resources, job: Job) -> Job:
    """Cancel a job: at once while it waits, at its next step while it runs. One that has ended stays as it is.

    Returns it as it stands afterwards. Raises `JobNotFound`, `QueueUnavailable`.
    """
    after = resources.jobs.cancel(job.key)
    if not job.state.terminal and after.state is JobState.CANCELLED:  # at once: no worker had it
        resources.metrics.queued_job_cancelled(job.request.model)
    structlog.get_logger("service").info("cancel asked for", job=job.id, state=after.state.value)
    return after
