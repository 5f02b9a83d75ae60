"""The video object: a job as the OpenAI Videos shape shows it, with our own fields beside."""

from typing import Literal

from pydantic import BaseModel, Field

from workers.jobs.job import Job, JobError, JobState, Priority, RunReport

Status = Literal["queued", "in_progress", "completed", "failed"]

# The shape has no cancelled status, and no difference between failed once and failed for good.
STATUS: dict[JobState, Status] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "in_progress",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
    JobState.DEAD: "failed",
}


class Speedup(BaseModel):
    measured: float = Field(description="Mean time of this job's full steps x steps / its denoise time.")
    estimated: float = Field(description="steps / full steps.")


class Timings(BaseModel):
    """Seconds; null for what has not happened."""

    queued: float | None = None
    load: float | None = None
    encode: float | None = Field(default=None, description="Encoding the prompt, and the image.")
    denoise: float | None = None
    decode: float | None = None
    encode_video: float | None = None
    upload: float | None = None


class Video(BaseModel):
    """Every key is always present; from `state` on they are this service's own."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Status
    progress: int = Field(ge=0, le=100, description="Denoising steps done, in percent; 100 only when completed.")
    created_at: int
    completed_at: int | None
    expires_at: int | None
    prompt: str
    size: str
    seconds: str
    remixed_from_video_id: str | None
    error: JobError | None

    state: JobState
    priority: Priority
    metadata: dict[str, str]
    negative_prompt: str
    frames: int
    fps: int
    steps: int
    sf: int
    guidance: float
    guidance_2: float | None = Field(description="Of the second expert, in models that have two.")
    true_cfg_scale: float
    flow_shift: float | None
    seed: int
    full_steps: int | None
    cached_steps: int | None
    decisions: str | None = Field(description="One letter a step: F computed in full, P predicted.")
    engaged: bool | None = Field(description="Whether the cache was in force.")
    reason: str | None = Field(
        description="Why it was not, or what else than measured coefficients it stands on: `resampled`, `uncalibrated`."
    )
    speedup: Speedup | None
    queue_position: int | None
    eta_seconds: float | None
    timings: Timings
    attempts: int
    worker: str | None


class VideoList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(BaseModel):
    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


def video_of(job: Job, *, queue_position: int | None, now: float) -> Video:
    """`now` is in Unix seconds."""
    request, report = job.request, job.report
    return Video(
        id=job.id,
        model=request.model,
        status=STATUS[job.state],
        progress=_progress(job),
        created_at=int(job.created_at),
        completed_at=_whole(job.completed_at),
        expires_at=_whole(job.expires_at),
        prompt=request.prompt,
        size=f"{request.width}x{request.height}",
        seconds=f"{request.seconds:.6g}",
        remixed_from_video_id=None,
        error=error_of(job),
        state=job.state,
        priority=job.priority,
        metadata=job.metadata,
        negative_prompt=request.negative_prompt,
        frames=request.frames,
        fps=request.fps,
        steps=request.steps,
        sf=request.sf,
        guidance=request.guidance,
        guidance_2=request.guidance_2,
        true_cfg_scale=request.true_cfg_scale,
        flow_shift=request.flow_shift,
        seed=request.seed,
        full_steps=report and report.full_steps,
        cached_steps=report and report.cached_steps,
        decisions=report and report.decisions,
        engaged=report and report.engaged,
        reason=reason_of(report),
        speedup=speedup_of(report),
        queue_position=queue_position,
        eta_seconds=_eta(job, now),
        timings=timings_of(job),
        attempts=job.attempts,
        worker=job.worker,
    )


def speedup_of(report: RunReport | None) -> Speedup | None:
    if report is None:
        return None
    return Speedup(measured=report.speedup_measured, estimated=report.speedup_estimated)


def reason_of(report: RunReport | None) -> str | None:
    """Why a run was not accelerated, or what else than measured coefficients it stands on: `code: detail`."""
    return None if report is None or report.reason is None else str(report.reason)


def poll_after_ms(video: Video) -> int:
    """When to ask again. Clients read this once and keep to it, so it is never long: a tenth of what is left."""
    if video.eta_seconds is None:
        return 1000
    return round(1000 * min(5.0, max(0.5, video.eta_seconds / 10)))


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _progress(job: Job) -> int:
    if job.state is JobState.COMPLETED:
        return 100
    return min(99, 100 * job.step // job.request.steps)


def error_of(job: Job) -> JobError | None:
    """Why there is no result and never will be; None while there may be, or is."""
    if STATUS[job.state] != "failed":
        return None
    if job.state is JobState.CANCELLED:
        return JobError(code="cancelled", message="The job was cancelled.")
    return job.error or JobError(code="internal_error", message="The job failed.")


def _eta(job: Job, now: float) -> float | None:
    """Only for jobs without the cache: there every step costs the same, so the steps done tell of the steps to come."""
    steps = job.request.steps
    if job.state is not JobState.RUNNING or job.started_at is None or job.step == 0 or job.request.wants_acceleration:
        return None
    return max(0.0, now - job.started_at) / job.step * (steps - job.step)


def timings_of(job: Job) -> Timings:
    """How long each stage of a job took, as far as it has come."""
    stages = job.report.timings if job.report else {}
    return Timings(
        queued=None if job.started_at is None else job.started_at - job.created_at,
        load=stages.get("load"),
        encode=stages.get("encode_prompt"),
        denoise=stages.get("denoise"),
        decode=stages.get("decode"),
        encode_video=stages.get("encode_video"),
        upload=stages.get("store"),
    )
