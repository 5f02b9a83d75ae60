"""How many jobs of their model start before each of some jobs."""

from collections.abc import Sequence

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.job import Job, model_of


def places_of(connection: Connection, jobs: Sequence[Job]) -> dict[str, int]:
    """By id, of those that wait when this asks; of the others nothing. jobs: that waited when they were read."""
    if not jobs:
        return {}
    with connection.asking(), connection.commands.pipeline(transaction=False) as pipeline:
        for job in jobs:
            for lane in _lanes(job):
                pipeline.zrank(keys.queued(model_of(job.id) or "", lane), job.result_of or job.id)
                pipeline.zcard(keys.queued(model_of(job.id) or "", lane))
        answers = iter(pipeline.execute())
    places = {}
    for job in jobs:
        ahead, found = 0, None
        for rank, length in [(next(answers), next(answers)) for _ in _lanes(job)]:
            if found is None and rank is not None:
                found = ahead + rank
            ahead += length
        if found is not None:
            places[job.id] = found
    return places


def _lanes(job: Job) -> tuple[str, ...]:
    """In which it may wait: it may have come back, or moved up."""
    return keys.LANES[: keys.LANES.index(job.priority) + 1]
