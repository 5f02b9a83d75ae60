"""Many videos cancelled by one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.cancel_schema import MOST_CANCELLED, CancelVideos
from service.dependencies import Resources
from service.selection import wanted
from service.submission import cancel_job
from service.videos import find
from workers.jobs.errors import InvalidRequest, JobNotFound
from workers.jobs.job import Job, JobState

#: How many are read at a time.
PAGE = 100


@dataclass
class Cancelled:
    """Ids, by what became of each: to be cancelled, had ended already, not there."""

    cancelled: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)
    more: bool = False


def cancel_videos(resources: Resources, tenant: str, body: CancelVideos, models: Sequence[str]) -> Cancelled:
    """Cancel what a body names. Raises `InvalidRequest`, `QueueUnavailable`."""
    like = {"status": body.status, "model": body.model, "metadata": body.metadata, "all": body.all or None}
    named = [name for name, value in like.items() if value is not None]
    if body.ids is not None and named:
        raise InvalidRequest(named[0], f"{named[0]} and ids: give ids, or say what the videos are like")
    if body.ids is None and not named:
        raise InvalidRequest("ids", "ids, status, model or metadata is required; all of yours are cancelled by `all`")
    if body.ids is not None:
        return _by_id(resources, tenant, list(dict.fromkeys(body.ids)))
    return _alike(resources, tenant, body.status, body.metadata or {}, models)


def _by_id(resources: Resources, tenant: str, ids: Sequence[str]) -> Cancelled:
    done = Cancelled()
    for video_id in ids:
        try:
            _cancel(resources, find(resources, tenant, video_id), done)
        except JobNotFound:
            done.not_found.append(video_id)
    return done


def _alike(
    resources: Resources, tenant: str, status: str | None, metadata: Mapping[str, str], models: Sequence[str]
) -> Cancelled:
    """The newest first: those that wait longest are the last to be taken from a client that calls it in error."""
    done, after = Cancelled(), None
    only = wanted([status] if status else ["queued", "in_progress"], metadata)
    while len(done.cancelled) < MOST_CANCELLED:
        jobs, more = resources.jobs.list(
            tenant, models, after=after, limit=PAGE, ascending=False, media="video", only=only
        )
        for job in jobs:
            try:
                _cancel(resources, job, done)
            except JobNotFound:  # Deleted in between.
                continue
        if not more or not jobs:
            return done
        after = jobs[-1].id
    done.more = True
    return done


def _cancel(resources: Resources, job: Job, done: Cancelled) -> None:
    after = cancel_job(resources, job)
    asked = after.cancel_requested or after.state is JobState.CANCELLED
    (done.cancelled if asked and not job.state.terminal else done.ended).append(job.id)
