"""The video object: a job as the OpenAI Videos shape shows it, with our own fields beside."""

from typing import Literal

from pydantic import BaseModel, Field

from service.outlook import Eta, Unknown
from service.run import Run, run_of
from workers.jobs.job import Job, JobError, JobState, Priority
from workers.models.family import Family

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]

# The shape has no cancelled status, and no difference between failed once and failed for good.
STATUS: dict[JobState, VideoStatus] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "in_progress",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
    JobState.DEAD: "failed",
}


class OpenAIVideo(BaseModel):
    """OpenAI's keys. Times are whole Unix seconds."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: VideoStatus
    progress: int = Field(ge=0, le=100, description="Finished denoising steps in percent; 100 only when completed.")
    created_at: int
    completed_at: int | None
    expires_at: int | None = Field(description="When the video and its file are deleted; null until it has ended.")
    prompt: str
    size: str = Field(description="Width x height in pixels.")
    seconds: str = Field(description="Length in seconds.")
    remixed_from_video_id: str | None
    error: JobError | None = Field(description="Why it failed; a cancelled one has the code `cancelled`.")


class Video(Run, OpenAIVideo):
    """Every key is always present. Those after `error` are this service's own."""

    state: JobState = Field(description="As `status`, with `cancelled` and `dead`: failed on every attempt.")
    priority: Priority
    metadata: dict[str, str]
    webhook_url: str | None = Field(description="Where a message goes when it has ended.")
    negative_prompt: str
    truncate_prompt: bool
    frames: int
    fps: int
    steps: int
    sf: int
    target_full_steps: int | None = Field(
        description="How many steps `target_speedup` has set to be computed in full, in place of those that belong to "
        "`sf`; null where it was not sent."
    )
    guidance: float
    guidance_2: float | None = Field(description="Guidance scale of the second expert, in models that have two.")
    true_cfg_scale: float
    flow_shift: float | None
    seed: int
    basis_runs: int | None = Field(description="As it was sent: how many measured runs predictions rest on at most.")
    allow_uncalibrated: bool
    input_reference: str | None = Field(
        description="SHA-256 of the file that its first frame is from, in hexadecimal; null without one."
    )
    deadline_at: int | None = Field(description="When it fails if it has not ended by then.")
    result_of: str | None = Field(
        description="Id of the identical video whose result it has, or will have; null for one that is computed itself."
    )
    queue_position: int | None = Field(description="How many jobs start before this one, while it is queued.")
    eta_seconds: float | None = Field(
        description="Estimated time until its result is there, also while it waits; null once it has ended, and for a "
        "reason."
    )
    eta_reason: Unknown | None = Field(
        description="Why `eta_seconds` is null before it has ended: no video of the kind was `not_measured`, or "
        "`no_worker` takes it."
    )
    attempts: int = Field(description="How many times a worker has started it.")
    worker: str | None = Field(description="The worker that runs it, or ran it last.")


class VideoList(BaseModel):
    """A page of videos."""

    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool = Field(description="Whether there is another page, `after` the last id of this one.")


class VideosCancelled(BaseModel):
    """What became of each video that was to be cancelled, by id."""

    object: Literal["video.cancellation"] = "video.cancellation"
    cancelled: list[str] = Field(description="Cancelled, or about to be: at their next denoising step.")
    ended: list[str] = Field(description="They had ended already, and are unchanged.")
    not_found: list[str]
    has_more: bool = Field(description="Whether there may be more that are like what was said; call again.")


class VideoDeleted(BaseModel):
    """Says that the video is gone."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


def video_of(job: Job, *, queue_position: int | None, eta: Eta | None = None, family: Family | None = None) -> Video:
    """The job as a client sees it. family: of its model, None when that is not served any more.

    queue_position: how many jobs start before it, None unless it is queued. eta: until it has its
    result.
    Times are cut to whole seconds; `size` is in pixels, `seconds` the length of the result.
    """
    request = job.request
    return Video(
        id=job.id,
        model=request.model,
        status=STATUS[job.state],
        progress=progress_of(job),
        created_at=int(job.created_at),
        completed_at=whole(job.completed_at),
        expires_at=whole(job.expires_at),
        prompt=request.prompt,
        size=f"{request.width}x{request.height}",
        seconds=f"{request.seconds:.6g}",
        remixed_from_video_id=job.remixed_from,
        error=error_of(job),
        state=job.state,
        priority=job.priority,
        metadata=job.metadata,
        webhook_url=job.webhook_url,
        negative_prompt=request.negative_prompt,
        truncate_prompt=request.truncate_prompt,
        frames=request.frames,
        fps=request.fps,
        steps=request.steps,
        sf=request.sf,
        target_full_steps=request.full_steps,
        guidance=request.guidance,
        guidance_2=request.guidance_2,
        true_cfg_scale=request.true_cfg_scale,
        flow_shift=request.flow_shift,
        seed=request.seed,
        basis_runs=request.basis_runs,
        allow_uncalibrated=request.allow_uncalibrated,
        input_reference=request.input_reference,
        deadline_at=whole(job.deadline_at),
        result_of=job.result_of,
        queue_position=queue_position,
        eta_seconds=eta and eta.seconds,
        eta_reason=eta and eta.reason,
        attempts=job.attempts,
        worker=job.worker,
        **dict(run_of(job, family)),
    )


def poll_after_ms(video: Video) -> int:
    """When to ask again, in milliseconds. Clients read this once and keep to it, so it is never long: a tenth of what
    is left."""
    if video.eta_seconds is None:
        return 1000
    return round(1000 * min(5.0, max(0.5, video.eta_seconds / 10)))


def error_of(job: Job) -> JobError | None:
    """Why there is no result and never will be; None while there may be, or is."""
    if STATUS[job.state] != "failed":
        return None
    if job.state is JobState.CANCELLED:
        return JobError(code="cancelled", message="The job was cancelled.")
    return job.error or JobError(code="internal_error", message="The job failed.")


def whole(seconds: float | None) -> int | None:
    """Unix seconds as clients see them, cut."""
    return None if seconds is None else int(seconds)


def progress_of(job: Job) -> int:
    """In percent."""
    if job.state is JobState.COMPLETED:
        return 100
    return min(99, 100 * job.step // job.request.steps)
