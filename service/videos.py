"""A video of the caller's: found by its id, and shown as it stands."""

from service.dependencies import Resources
from service.video import Video, video_of
from workers.jobs.errors import JobNotFound
from workers.jobs.job import Job, JobKey, JobState


def find(resources: Resources, tenant: str, video_id: str) -> Job:
    """The job of a video. Raises `JobNotFound`, `QueueUnavailable`."""
    if not video_id.startswith("video_"):
        raise JobNotFound(f"there is no video {video_id[:120]!r}")
    return resources.jobs.get(JobKey(tenant, video_id))


def show(resources: Resources, job: Job) -> Video:
    """A job as a client sees it, with its place in the queue. Raises `QueueUnavailable`."""
    position = resources.jobs.position(job) if job.state is JobState.QUEUED else None
    served = job.request.model in resources.catalogue.entries
    family = resources.catalogue.family(job.request.model) if served else None
    return video_of(job, queue_position=position, now=resources.clock(), family=family)
