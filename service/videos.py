"""A video or an image of the caller's: found by its id, and shown as it stands."""

from collections.abc import Sequence

from service.dependencies import Resources
from service.image import ImageJob, image_job_of
from service.shown import shown
from service.video import Video
from workers.jobs.errors import JobNotFound
from workers.jobs.job import Job, JobKey, Media


def find(resources: Resources, tenant: str, job_id: str, media: Media = "video") -> Job:
    """The job of a video, or of an image. Raises `JobNotFound`, `QueueUnavailable`."""
    if not job_id.startswith(f"{media}_"):
        raise JobNotFound(f"there is no {media} {job_id[:120]!r}")
    return resources.jobs.get(JobKey(tenant, job_id))


def show(resources: Resources, job: Job) -> Video:
    """A job as a client sees it, with its place in the queue. Raises `QueueUnavailable`."""
    return show_all(resources, [job])[0]


def show_all(resources: Resources, jobs: Sequence[Job]) -> list[Video]:
    """The same of many, for which the queue is asked once. Raises `QueueUnavailable`."""
    places = resources.jobs.positions(jobs)
    return [shown(resources.catalogue, resources.outlook, job, places.get(job.id)) for job in jobs]


def show_image(resources: Resources, job: Job) -> ImageJob:
    """The same of a job that makes an image."""
    return show_images(resources, [job])[0]


def show_images(resources: Resources, jobs: Sequence[Job]) -> list[ImageJob]:
    """The same of many."""
    return [image_job_of(video) for video in show_all(resources, jobs)]
