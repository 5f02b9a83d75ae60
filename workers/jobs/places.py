"""How many jobs of their model start before each of some jobs."""

from collections.abc import Sequence

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.job import Job, model_of


def places_of(connection: Connection, jobs: Sequence[Job]) -> dict[str, int]:
    """By id, of those that wait when this asks; of the others nothing. jobs: that waited when they were read."""
    if not jobs:
        return {}
    lanes = sorted({(model_of(job.id) or "", lane) for job in jobs for lane in _lanes(job)})
    with connection.asking(), connection.commands.pipeline(transaction=False) as pipeline:
        for model, lane in lanes:
            pipeline.zcard(keys.queued(model, lane))
        for job in jobs:
            for lane in _lanes(job):
                pipeline.zrank(keys.queued(model_of(job.id) or "", lane), job.result_of or job.id)
        answers = iter(pipeline.execute())
    lengths = {lane: next(answers) for lane in lanes}
    places = {}
    for job in jobs:
        ahead, found = 0, None
        for lane, rank in [(lane, next(answers)) for lane in _lanes(job)]:
            if found is None and rank is not None:
                found = ahead + rank
            ahead += lengths[model_of(job.id) or "", lane]
        if found is not None:
            places[job.id] = found
    return places


def _lanes(job: Job) -> tuple[str, ...]:
    """In which it may wait: it may have come back, or moved up."""
    return keys.LANES[: keys.LANES.index(job.priority) + 1]
