"""What is foretold of workers: when they take their next job, and which they would not start. Nothing asks Redis."""

from collections.abc import Mapping, Sequence

from service.forecast import Seat
from workers.jobs.lines import Standing
from workers.jobs.presence import WorkerInfo
from workers.models.duration import Durations


def seats_of(
    workers: Sequence[WorkerInfo],
    standings: Mapping[str, Standing],
    durations: Mapping[str, Durations],
    ends: Mapping[str, float],
    now: float,
) -> list[Seat]:
    """One a worker. standings, durations: by model. ends: when the job of a worker ends that has one, by its name."""
    least_seconds = _least_seconds(workers, standings, durations)
    seats = []
    for worker in workers:
        least: dict[str, float] = {}
        for model, version in worker.versions.items():
            least |= least_seconds.get((model, version.software), {})
        free_at = max(now, ends.get(worker.name, now))
        seats.append(Seat(free_at, worker.models, worker.most_running_of_tenant, least))
    return seats


def _least_seconds(
    workers: Sequence[WorkerInfo], standings: Mapping[str, Standing], durations: Mapping[str, Durations]
) -> dict[tuple[str, str], dict[str, float]]:
    """By model and software, what its jobs take at least that have a deadline, by id, where that is known."""
    found = {}
    for model, software in {(model, each.software) for worker in workers for model, each in worker.versions.items()}:
        if model in standings:
            requests, due = standings[model].requests, standings[model].line.with_deadline
            least = {
                job_id: durations[model].least_seconds(requests[job_id], software)
                for job_id in due
                if job_id in requests
            }
            found[model, software] = {job_id: seconds for job_id, seconds in least.items() if seconds is not None}
    return found
