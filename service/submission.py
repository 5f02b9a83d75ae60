"""From a request to its one job, however often the request arrives."""

from dataclasses import dataclass

import structlog
from anyio import to_thread
from starlette.concurrency import run_in_threadpool

from service.parts import Parts
from service.schemas import CreateVideo, resolve
from workers.jobs.errors import InvalidRequest
from workers.jobs.job import GenerationRequest, Job, JobState, Priority, new_job_id
from workers.media.first_frame import fitted

IDEMPOTENCY_SECONDS = 86_400
RETRY_SECONDS = 60.0
RETRY_PAGES = 10


@dataclass(frozen=True)
class Attempt:
    """One arrival of a request: its key if it has one, and whether its client says that it came before."""

    tenant: str
    body: CreateVideo
    idempotency_key: str | None
    retry: bool


async def submit(parts: Parts, attempt: Attempt) -> Job:
    """The job of this request, new or the one that an earlier arrival made. Raises `InvalidRequest`."""
    request = await run_in_threadpool(resolve, attempt.body, parts.catalogue)
    image = attempt.body.input_reference
    if image is not None:  # It waits for its turn without one of the threads that all calls share.
        image = await to_thread.run_sync(fitted, image, request.width, request.height, limiter=parts.decoders)
    return await run_in_threadpool(_submit, parts, attempt, request, image)


def _submit(parts: Parts, attempt: Attempt, request: GenerationRequest, image: bytes | None) -> Job:
    body, tenant, priority = attempt.body, attempt.tenant, Priority(attempt.body.priority)
    fresh = job_id = new_job_id(request.model)
    if attempt.idempotency_key is not None:
        job_id = parts.queue.reserve(tenant, attempt.idempotency_key, body.fingerprint(), fresh, IDEMPOTENCY_SECONDS)
    elif attempt.retry and (earlier := _first_try(parts, attempt, request)):
        return earlier
    if image is not None:  # Before the job, or a worker would miss it.
        parts.artifacts.keep_reference(tenant, job_id, image)
    job = parts.queue.submit(job_id=job_id, tenant=tenant, priority=priority, request=request, metadata=body.metadata)
    if job_id == fresh:
        note_submitted(parts, job)
    return job


def note_submitted(parts: Parts, job: Job) -> None:
    """Count and log a job that is new."""
    parts.metrics.job_submitted(job.request, job.priority)
    structlog.get_logger("service").info("job submitted", job=job.id, model=job.request.model, sf=job.request.sf)


def stop(parts: Parts, found: Job) -> Job:
    """Cancel a job: at once while it waits, at its next step while it runs. One that has ended stays as it is."""
    job = parts.queue.cancel(found.id, found.tenant)
    if found.state is JobState.QUEUED and job.state is JobState.CANCELLED:
        parts.metrics.queued_job_cancelled(job.request.model)
    structlog.get_logger("service").info("cancel asked for", job=job.id, state=job.state.value)
    return job


def _first_try(parts: Parts, attempt: Attempt, request: GenerationRequest) -> Job | None:
    """The newest job of the last minute that the same body made: OpenAI's clients count retries but send no key.

    Looked up among the jobs rather than reserved beforehand, since a first try must always make a new job, also of a
    body that came before, and the retry must then find that one.
    """
    oldest, after = parts.clock() - RETRY_SECONDS, None
    for _ in range(RETRY_PAGES):
        try:
            jobs, more = parts.queue.list(attempt.tenant, [request.model], after=after, limit=100, ascending=False)
        except InvalidRequest:
            return None  # The last job of the page before was deleted meanwhile.
        for job in jobs:
            if job.created_at < oldest:
                return None
            if _same(job, attempt.body, request):
                return job
        if not more or not jobs:
            return None
        after = jobs[-1].id
    return None


def _same(job: Job, body: CreateVideo, request: GenerationRequest) -> bool:
    """Whether the same body made this job; a seed that was drawn does not count."""
    wanted = request if body.seed is not None else request.model_copy(update={"seed": job.request.seed})
    return job.request == wanted and job.metadata == body.metadata and job.priority == body.priority
