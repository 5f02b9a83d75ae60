"""A finished result in the place of a computation, for a request that agrees to that."""

from collections.abc import Sequence

from service.dependencies import Resources
from workers.jobs.job import GenerationRequest
from workers.jobs.presence import WorkerInfo


def kept_result(
    resources: Resources, tenant: str, request: GenerationRequest, workers: Sequence[WorkerInfo]
) -> str | None:
    """Id of the tenant's job that has the very result which any of the live workers would make; None where there is
    none, where they would not all make the same, or where its file is gone or out of reach.

    Raises `QueueUnavailable`.
    """
    version = agreed(workers, request)
    if version is None or (job := resources.finished.like(tenant, request, version)) is None:
        return None
    try:
        return job.id if job.artifact is not None and resources.artifacts.holds(job.artifact) else None
    except OSError:
        return None


def agreed(workers: Sequence[WorkerInfo], request: GenerationRequest) -> str | None:
    """The version that all who take jobs of the model compute with; None where one does not say, or there are none."""
    model = request.model
    said = {
        worker.versions[model].of(request) if model in worker.versions else None
        for worker in workers
        if worker.takes(model)
    }
    return said.pop() if len(said) == 1 else None
