"""From what happens to a job to what streams say of it."""

from collections.abc import Iterable, Sequence

from starlette.concurrency import run_in_threadpool

from service.estimation import Progress
from service.frames import Frame, deleted_frame, preview_frame, resource_frame, step_frame
from service.outlook import Outlook
from service.shown import resource_of
from workers.jobs.errors import JobNotFound
from workers.jobs.events import JobEvent
from workers.jobs.job import Job, JobKey, JobState, model_of
from workers.jobs.live import LiveEvent
from workers.jobs.queue import Jobs
from workers.models.catalogue import Catalogue

#: Of how many jobs the request is remembered, so that it is not read at each step.
MOST_KNOWN = 1000


class Telling:
    """Reads a job where an event changes more than it says."""

    def __init__(self, jobs: Jobs, catalogue: Catalogue, outlook: Outlook) -> None:
        self._jobs, self._catalogue, self._outlook = jobs, catalogue, outlook
        self._known: dict[str, Job] = {}

    async def of(self, event: LiveEvent) -> Frame | None:
        """What is said of an event, None where that is nothing. Raises `QueueUnavailable`."""
        key = JobKey(event.tenant, event.job_id)
        try:
            if event.type in ("state", "stage"):
                frame = await run_in_threadpool(self.standing, key, event.id)
                # Read late, it has ended since: its end has an event of its own, behind the steps before it.
                return None if frame.ends and not event.ends_job else frame
            if event.type == "step":
                known = self._known.get(event.job_id)
                return self.steps(known if known else await run_in_threadpool(self._read, key), event)
            if event.type == "preview":
                return await run_in_threadpool(self.preview, key)
        except JobNotFound:
            return None
        return deleted_frame(event.job_id, event.id) if event.type == "deleted" else None

    def standing(self, key: JobKey, event_id: str) -> Frame:
        """The job as it stands. Raises `JobNotFound`, `QueueUnavailable`."""
        return self.of_job(self._read(key), event_id)

    def of_job(self, job: Job, event_id: str) -> Frame:
        """A job as it was just read. Raises `QueueUnavailable`."""
        return self.of_jobs([job], event_id)[0]

    def of_jobs(self, jobs: Sequence[Job], event_id: str) -> list[Frame]:
        """The same of many, for which the queue is asked once."""
        places = self._jobs.positions(jobs)
        resources = [resource_of(self._catalogue, self._outlook, job, places.get(job.id)) for job in jobs]
        return [resource_frame(resource, event_id) for resource in resources]

    def steps(self, job: Job, event: JobEvent) -> Frame:
        """The steps that an event tells of."""
        step, full_seconds = event.step or 0, event.full_step_seconds or None
        progress = Progress(job.started_at, "denoise", step, event.full_steps, full_seconds)
        told_at = int(event.id.partition("-")[0]) / 1000
        return step_frame(event, job.request.steps, self._outlook.at_step(job.request, progress, told_at))

    def preview(self, key: JobKey) -> Frame | None:
        """What a running job looks as if it will become. Raises `QueueUnavailable`."""
        kept = self._jobs.preview(key)
        return None if kept is None else preview_frame(key.job_id, *kept)

    async def waiting(self, keys: Iterable[JobKey]) -> dict[str, Frame]:
        """Those of the jobs that wait, by their ids, each with its place in the queue. Raises `QueueUnavailable`."""
        return await run_in_threadpool(self._waiting, list(keys))

    def forget(self) -> None:
        """Nobody watches."""
        self._known.clear()

    def _waiting(self, keys: list[JobKey]) -> dict[str, Frame]:
        places = {model: self._jobs.places(model) for model in {model_of(key.job_id) or "" for key in keys}}
        frames = {}
        for key in keys:
            job = self._known.get(key.job_id)
            if job is None or job.state is not JobState.QUEUED:
                continue
            place = places[model_of(key.job_id) or ""].get(job.result_of or job.id)
            if place is not None:
                frames[key.job_id] = resource_frame(resource_of(self._catalogue, self._outlook, job, place), "")
        return frames

    def _read(self, key: JobKey) -> Job:
        job = self._jobs.get(key)
        if job.state.terminal:
            self._known.pop(job.id, None)  # Another thread may have been here first.
            return job
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[job.id] = job
        return job
