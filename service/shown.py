"""A job as its client sees it."""

from service.estimation import eta_seconds
from service.image import ImageJob, image_job_of
from service.video import Video, video_of
from workers.jobs.job import Job
from workers.models.catalogue import Catalogue


def shown(catalogue: Catalogue, job: Job, queue_position: int | None) -> Video:
    """As a video, with its place in the queue, None unless it waits there."""
    entry = catalogue.entries.get(job.request.model)
    family = catalogue.family(job.request.model) if entry else None
    eta = eta_seconds(job, entry.method if entry else None)
    return video_of(job, queue_position=queue_position, eta_seconds=eta, family=family)


def resource_of(catalogue: Catalogue, job: Job, queue_position: int | None) -> Video | ImageJob:
    """As what it makes."""
    video = shown(catalogue, job, queue_position)
    return image_job_of(video) if job.id.startswith("image_") else video
