"""What running jobs look as if they will become, as whoever watches is shown it."""

from dataclasses import dataclass

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.job import JobKey
from workers.jobs.scripts import ModelScript


@dataclass(frozen=True, slots=True)
class Shown(ModelScript[str]):
    """Answers with steps done and picture, or with an empty text."""

    job_id: str
    tenant: str


def picture_of(connection: Connection, job: JobKey) -> tuple[int, str] | None:
    """After how many steps, and a WebP in base64; None without one, and for another tenant's job. Raises
    `QueueUnavailable`."""
    kept = connection.run(Shown(keys.root_of(job.job_id), job.job_id, job.tenant))
    step, _, picture = kept.partition(" ")
    return (int(step), picture) if kept else None
