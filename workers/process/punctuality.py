"""Jobs that cannot end before their deadline, by what was measured, are not computed in vain."""

import structlog

from workers.jobs.errors import DeadlineExceeded
from workers.jobs.job import GenerationRequest, model_of
from workers.jobs.pace import MeasuredRuns
from workers.models.catalogue import Catalogue
from workers.models.duration import least_seconds
from workers.process.metrics import Metrics

log = structlog.get_logger()


class Punctuality:
    """A `workers.jobs.foresight.Foresight`."""

    def __init__(self, runs: MeasuredRuns, catalogue: Catalogue, metrics: Metrics) -> None:
        self._runs, self._catalogue, self._metrics = runs, catalogue, metrics

    def least_seconds(self, request: GenerationRequest) -> float | None:
        """What a run takes at least; None where nothing of the kind was measured. Raises `QueueUnavailable`."""
        entry = self._catalogue.entries.get(request.model)
        return None if entry is None else least_seconds(request, entry.method, self._runs.of(request.model))

    def failed(self, job_id: str) -> None:
        """Count and log a job that was not started, since it could not end in time."""
        self._metrics.ended(model_of(job_id) or "", "failed", code=DeadlineExceeded.code)
        log.info("job ended", job=job_id, outcome="failed", code=DeadlineExceeded.code)
