"""Jobs that cannot end before their deadline, by what was measured, are not computed in vain."""

from collections.abc import Callable, Mapping

import structlog

from workers.jobs.errors import DeadlineExceeded
from workers.jobs.job import GenerationRequest, model_of
from workers.jobs.pace import MeasuredRuns
from workers.models.catalogue import Catalogue
from workers.models.duration import Durations
from workers.process.metrics import Metrics

log = structlog.get_logger()


class Punctuality:
    """A `workers.jobs.foresight.Foresight`. Of runs it counts those alone that were computed with what this worker
    computes with: another device, or group, may take many times as long, and what is refused measures nothing."""

    def __init__(
        self, runs: MeasuredRuns, catalogue: Catalogue, metrics: Metrics, software: Callable[[], Mapping[str, str]]
    ) -> None:
        """software: as in `Version`, of the models that are loaded."""
        self._runs, self._catalogue, self._metrics, self._software = runs, catalogue, metrics, software

    def least_seconds(self, request: GenerationRequest) -> float | None:
        """What a run takes at least; None where too few of the kind were measured. Raises `QueueUnavailable`."""
        entry, software = self._catalogue.entries.get(request.model), self._software().get(request.model)
        if entry is None or not software:
            return None
        return Durations(entry.method, self._runs.of(request.model)).least_seconds(request, software)

    def failed(self, job_id: str) -> None:
        """Count and log a job that was not started, since it could not end in time."""
        self._metrics.ended(model_of(job_id) or "", "failed", code=DeadlineExceeded.code)
        log.info("job ended", job=job_id, outcome="failed", code=DeadlineExceeded.code)
