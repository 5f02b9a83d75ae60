"""A video or an image of the caller's: found by its id, and shown as it stands."""

from service.dependencies import Resources
from service.image import ImageJob, image_job_of
from service.shown import shown
from service.video import Video
from workers.jobs.errors import JobNotFound
from workers.jobs.job import Job, JobKey, JobState, Media


def find(resources: Resources, tenant: str, job_id: str, media: Media = "video") -> Job:
    """The job of a video, or of an image. Raises `JobNotFound`, `QueueUnavailable`."""
    if not job_id.startswith(f"{media}_"):
        raise JobNotFound(f"there is no {media} {job_id[:120]!r}")
    return resources.jobs.get(JobKey(tenant, job_id))


def show(resources: Resources, job: Job) -> Video:
    """A job as a client sees it, with its place in the queue. Raises `QueueUnavailable`."""
    return shown(resources.catalogue, job, resources.jobs.position(job) if job.state is JobState.QUEUED else None)


def show_image(resources: Resources, job: Job) -> ImageJob:
    """The same of a job that makes an image."""
    return image_job_of(show(resources, job))
