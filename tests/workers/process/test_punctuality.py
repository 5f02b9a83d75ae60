"""What was measured decides which jobs are not worth a start."""

from tests.catalogues import a_model
from tests.queues import Queue
from tests.workers.factories import MODEL, a_report, a_request, an_artifact, submit
from workers.jobs.leases import Leases
from workers.jobs.pace import MeasuredRuns
from workers.models.catalogue import Catalogue, families
from workers.process.metrics import Metrics
from workers.process.punctuality import Punctuality


def test_a_job_is_failed_by_what_runs_of_its_size_took(redis_url: str) -> None:
    queue, entry, metrics = Queue.open(redis_url), a_model(MODEL), Metrics((MODEL,))
    punctuality = Punctuality(MeasuredRuns(queue.connection), Catalogue({entry.name: entry}, families()), metrics)
    leases = Leases(queue.connection, foresight=punctuality)
    assert punctuality.least_seconds(a_request()) is None
    first, hopeless, patient = (submit(queue, deadline_seconds=deadline) for deadline in (60, 2, 60))
    attempt = leases.claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == first.id
    leases.complete(attempt, an_artifact(), a_report())  # that it took 4.3 s
    after = leases.claim([MODEL], "w")
    assert after is not None and after.job.id == patient.id
    assert [job.id for job in queue.inspection.last_failures(MODEL, 5)] == [hopeless.id]
    labels = {"model": MODEL, "outcome": "failed", "reason": "deadline_exceeded"}
    assert metrics.registry.get_sample_value("scalingcache_jobs_total", labels) == 1
    assert punctuality.least_seconds(a_request(model="other")) is None
