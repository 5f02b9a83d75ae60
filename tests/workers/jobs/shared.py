"""Jobs that share a computation, for the tests of that."""

from tests.queues import Queue
from tests.workers.factories import a_report, an_artifact, submit
from workers.jobs.job import GenerationRequest, Job
from workers.jobs.leases import Attempt


def shared(queue: Queue, request: GenerationRequest | None = None, **more: object) -> Job:
    return submit(queue, request, shares=True, **more)  # type: ignore[arg-type]


def two(queue: Queue) -> tuple[Job, Job]:
    """A job that is computed, and one that shares its computation."""
    first, second = shared(queue), shared(queue)
    assert (first.result_of, second.result_of) == (None, first.id)
    return first, second


def get(queue: Queue, job: Job) -> Job:
    return queue.jobs.get(job.key)


def complete(queue: Queue, attempt: Attempt) -> None:
    queue.leases.complete(attempt, an_artifact(), a_report())
