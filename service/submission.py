"""From a request to its one job, however often the request arrives."""

from dataclasses import dataclass

import structlog
from anyio import to_thread
from starlette.concurrency import run_in_threadpool

from service.dependencies import Resources
from service.resolution import resolve_video
from service.schemas import CreateVideo
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest, Job, JobKey, JobState, Priority, new_job_id
from workers.media.first_frame import fitted

IDEMPOTENCY_SECONDS = 86_400
RETRY_SECONDS = 60.0
RETRY_PAGES = 10


@dataclass(frozen=True)
class Arrival:
    """One arrival of a request: its idempotency key if it has one, and whether its client says that it came before."""

    tenant: str
    body: CreateVideo
    idempotency_key: str | None
    retry: bool


async def submit(resources: Resources, arrival: Arrival) -> Job:
    """The job of this request, new or the one that an earlier arrival made.

    Raises `InvalidRequest`, `IdempotencyConflict`, `StorageFull`, `StorageFailed`, `QueueUnavailable`.
    """
    request = await run_in_threadpool(resolve_video, arrival.body, resources.catalogue)
    image = arrival.body.input_reference
    if image is not None:  # It waits for its turn without one of the threads that all calls share.
        image = await to_thread.run_sync(fitted, image, request.width, request.height, limiter=resources.decoders)
    return await run_in_threadpool(_submit, resources, arrival, request, image)


def _submit(resources: Resources, arrival: Arrival, request: GenerationRequest, image: bytes | None) -> Job:
    body = arrival.body
    new = key = JobKey(arrival.tenant, new_job_id(request.model))
    if arrival.idempotency_key is not None:
        key = resources.jobs.reserve(new, arrival.idempotency_key, body.fingerprint(), IDEMPOTENCY_SECONDS)
    elif arrival.retry and (earlier := _first_try(resources, arrival, request)):
        return earlier
    if image is not None:  # Before the job, or a worker would miss it.
        resources.artifacts.keep_reference(key, image)
    job = resources.jobs.submit(key, priority=Priority(body.priority), request=request, metadata=body.metadata)
    if key == new:
        record_submission(resources, job)
    return job


def record_submission(resources: Resources, job: Job) -> None:
    """Count and log a job that is new."""
    resources.metrics.job_submitted(job.request, job.priority)
    structlog.get_logger("service").info("job submitted", job=job.id, model=job.request.model, sf=job.request.sf)


def cancel_job(resources: Resources, job: Job) -> Job:
    """Cancel a job: at once while it waits, at its next step while it runs. One that has ended stays as it is.

    Returns it as it stands afterwards. Raises `JobNotFound`, `QueueUnavailable`.
    """
    after = resources.jobs.cancel(job.key)
    if job.state is JobState.QUEUED and after.state is JobState.CANCELLED:
        resources.metrics.queued_job_cancelled(job.request.model)
    structlog.get_logger("service").info("cancel asked for", job=job.id, state=after.state.value)
    return after


def _first_try(resources: Resources, arrival: Arrival, request: GenerationRequest) -> Job | None:
    """The newest job of the last minute that the same body made: OpenAI's clients count retries but send no key.

    Looked up among the jobs rather than reserved beforehand, since a first try must always make a new job, also of a
    body that came before, and the retry must then find that one.
    """
    oldest, after = resources.clock() - RETRY_SECONDS, None
    for _ in range(RETRY_PAGES):
        try:
            jobs, more = resources.jobs.list(arrival.tenant, [request.model], after=after, limit=100, ascending=False)
        except InvalidRequest:
            return None  # The last job of the page before was deleted meanwhile.
        for job in jobs:
            if job.created_at < oldest:
                return None
            if _made_by(arrival.body, request, job):
                return job
        if not more or not jobs:
            return None
        after = jobs[-1].id
    return None


def _made_by(body: CreateVideo, request: GenerationRequest, job: Job) -> bool:
    """Whether the same body made this job; a seed that was drawn does not count."""
    wanted = request if body.seed is not None else request.model_copy(update={"seed": job.request.seed})
    return job.request == wanted and job.metadata == body.metadata and job.priority == body.priority
