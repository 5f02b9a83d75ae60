"""A job that its client wants gone."""

from contextlib import suppress

import structlog

from service.dependencies import Resources
from workers.jobs.job import Job


def delete_job(resources: Resources, job: Job) -> None:
    """Delete a job with its prompt and files. One that is queued or running is cancelled first.

    Raises `JobNotFound`, `QueueUnavailable`.
    """
    unshared = resources.jobs.delete(job.key)
    if unshared and job.artifact is not None:  # Else the workers' sweep comes after who still writes, or has it too.
        with suppress(OSError):  # The workers delete it then.
            resources.artifacts.delete(job.key)
    structlog.get_logger("service").info("job deleted", job=job.id, state=job.state.value)
