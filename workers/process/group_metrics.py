"""What a worker counts of groups: models whose jobs several processes compute together."""

from collections.abc import Mapping

from workers.jobs.job import RunReport
from workers.parallel.loss import CAUSES, cause_of
from workers.process import buckets
from workers.process.instruments import Instruments


class GroupMetrics(Instruments):
    """A part of `Metrics`."""

    def __init__(self) -> None:
        super().__init__()
        self._ranks = self._gauge(
            "scalingcache_group_ranks",
            "Processes, each with a GPU of its own, that compute a job of the model.",
            "model",
        )
        self._failures = self._counter(
            "scalingcache_group_failures_total",
            "Groups of such processes that ended since one was lost or not where the others were, by what was found.",
            "cause",
        )
        self._waits = self._histogram(
            "scalingcache_group_wait_seconds",
            "How long the first process waited for the others in a completed job, in all its stages, by its steps.",
            buckets.STEP,
            "model",
        )
        self._grouped = False

    def groups(self, ranks: Mapping[str, int]) -> None:
        """How many processes compute a job of each model; 1 for one without a group."""
        for model, count in ranks.items():
            self._ranks.labels(model).set(count)
        self._grouped = any(count > 1 for count in ranks.values())
        for cause in CAUSES if self._grouped else ():
            self._failures.labels(cause)

    def process_ended(self, exit_code: int | None) -> None:
        """The process with the models ended with this code, and its group with it; None where it was ended."""
        if self._grouped and (cause := cause_of(exit_code)) is not None:
            self._failures.labels(cause).inc()

    def _waited(self, model: str, report: RunReport) -> None:
        if report.parallel is not None:
            self._waits.labels(model).observe(report.parallel.wait_seconds / report.steps)
