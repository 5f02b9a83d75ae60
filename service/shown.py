"""A job as its client sees it."""

from service.image import ImageJob, image_job_of
from service.outlook import Outlook
from service.video import Video, video_of
from workers.jobs.job import Job
from workers.models.catalogue import Catalogue


def shown(catalogue: Catalogue, outlook: Outlook, job: Job, queue_position: int | None) -> Video:
    """As a video, with its place in the queue, None unless it waits there. Raises `QueueUnavailable`."""
    family = catalogue.family(job.request.model) if job.request.model in catalogue.entries else None
    return video_of(job, queue_position=queue_position, eta=outlook.of(job, queue_position), family=family)


def resource_of(catalogue: Catalogue, outlook: Outlook, job: Job, queue_position: int | None) -> Video | ImageJob:
    """As what it makes. Raises `QueueUnavailable`."""
    video = shown(catalogue, outlook, job, queue_position)
    return image_job_of(video) if job.id.startswith("image_") else video
