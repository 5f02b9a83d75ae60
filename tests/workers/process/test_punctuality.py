"""What was measured decides which jobs are not worth a start."""

import pytest

from tests.catalogues import a_model
from tests.queues import Queue
from tests.workers.factories import MODEL, a_report, a_request, an_artifact, submit
from workers.jobs.job import GenerationRequest
from workers.jobs.leases import Leases
from workers.jobs.pace import MeasuredRuns
from workers.jobs.versions import Version
from workers.models.catalogue import Catalogue, families
from workers.models.duration import ENOUGH_RUNS
from workers.process.metrics import Metrics
from workers.process.punctuality import Punctuality

OWN, OTHER = Version("fast-gpu", "1"), Version("slow-gpu", "1")


def measure(queue: Queue, version: Version, steps_seconds: float, request: GenerationRequest | None = None) -> None:
    report = a_report().model_copy(update={"full_step_seconds": steps_seconds, "predicted_step_seconds": 0.0})
    for _ in range(ENOUGH_RUNS):
        job = submit(queue, request)
        attempt = queue.leases.claim([MODEL], "w")
        assert attempt is not None
        queue.leases.complete(attempt, an_artifact(), report, version.of(job.request))


def punctuality_of(queue: Queue, metrics: Metrics) -> Punctuality:
    entry = a_model(MODEL)
    catalogue = Catalogue({entry.name: entry}, families())
    return Punctuality(MeasuredRuns(queue.connection), catalogue, metrics, lambda: {MODEL: OWN.software})


def test_a_job_is_failed_by_what_runs_of_its_size_took(redis_url: str) -> None:
    queue, metrics = Queue.open(redis_url), Metrics((MODEL,))
    punctuality = punctuality_of(queue, metrics)
    measure(queue, OWN, 0.2)
    assert punctuality.least_seconds(a_request()) == pytest.approx(4.3, abs=0.8)
    hopeless, patient = (submit(queue, deadline_seconds=deadline) for deadline in (2, 60))
    attempt = Leases(queue.connection, foresight=punctuality).claim([MODEL], "w")
    assert attempt is not None and attempt.job.id == patient.id
    assert [job.id for job in queue.inspection.last_failures(MODEL, 5)] == [hopeless.id]
    labels = {"model": MODEL, "outcome": "failed", "reason": "deadline_exceeded"}
    assert metrics.registry.get_sample_value("scalingcache_jobs_total", labels) == 1
    assert punctuality.least_seconds(a_request(model="other")) is None


@pytest.mark.parametrize("request_", [a_request(), a_request().model_copy(update={"sf": 50})])
def test_slow_runs_with_another_device_or_software_are_no_reason_to_fail(
    redis_url: str, request_: GenerationRequest
) -> None:
    queue = Queue.open(redis_url)
    punctuality = punctuality_of(queue, Metrics((MODEL,)))
    measure(queue, OTHER, 50.0, request_)
    assert punctuality.least_seconds(request_) is None
    measure(queue, OWN, 0.5, request_)
    assert punctuality.least_seconds(request_) is not None
