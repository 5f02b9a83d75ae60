"""Results that are kept, by what they were computed of and with: an equal request need not be computed again."""

from dataclasses import dataclass

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.job import GenerationRequest, Job
from workers.jobs.records import job_from
from workers.jobs.scripts import ModelScript, Record


@dataclass(frozen=True, slots=True)
class Finished(ModelScript[Record]):
    """request: as JSON. Answers with the record, an empty one where there is none."""

    tenant: str
    request: str
    version: str


class FinishedJobs:
    """What `Leases.complete` was told the version of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def like(self, tenant: str, request: GenerationRequest, version: str) -> Job | None:
        """The tenant's job that has the result of an equal request, computed by this version; None where there is none,
        or it is deleted, or its time is over. Whether its file is there is not asked. Raises `QueueUnavailable`."""
        finished = Finished(keys.root(request.model), tenant, request.model_dump_json(), version)
        record = self._connection.run(finished)
        try:
            return job_from(record) if record else None
        except ValueError:  # of another version: it is computed anew
            return None
