"""What a request would take, and how long a running job still does. Nothing here asks Redis."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workers.jobs.job import GenerationRequest, Job, Stage
from workers.models.duration import Pace, Plan

#: What a worker tells of a job's progress is at most so old, beside the step that it is at.
TOLD_EVERY_SECONDS = 0.5
_AFTER_THE_STEPS: tuple[Stage, ...] = ("decode", "encode_video", "store")


def decisions(request: GenerationRequest, plan: Plan, earlier: Iterable[str]) -> str | None:
    """A letter a step, F in full and P predicted. earlier: those of other runs of the model, of which the first with as
    many steps, in full and in all, tells; None without one."""
    if plan.cached == 0:
        return "F" * plan.full
    return next((each for each in earlier if (len(each), each.count("F")) == (request.steps, plan.full)), None)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is. full_steps: how many of its steps were computed in full; None where its worker does not
    tell. full_step_seconds: their mean time, None before the first."""

    started_at: float | None
    stage: Stage | None
    step: int
    full_steps: int | None
    full_step_seconds: float | None

    @classmethod
    def of(cls, job: Job) -> "Progress":
        """Of a job as it was read."""
        full = job.decisions.count("F") if job.decisions else None
        return cls(job.started_at, job.stage, job.step, full, job.full_step_seconds or None)


def seconds_left(plan: Plan, pace: Pace, progress: Progress, now: float) -> float:
    """Until a running job has its result: what a run takes, less the time since its start, but within what the steps
    that are still to come take. Its own steps tell how long a full one takes. now: in Unix seconds."""
    steps, full = plan.full + plan.cached, progress.full_step_seconds or pace.full
    done_full = progress.full_steps if progress.full_steps is not None else round(progress.step * plan.full / steps)
    left_full = max(0, plan.full - done_full)
    left = left_full * full + max(0, steps - progress.step - left_full) * pace.predicted
    if progress.stage in _AFTER_THE_STEPS:
        least, most = 0.0, pace.after
    elif progress.stage == "denoise":
        least, most = left - full - TOLD_EVERY_SECONDS + pace.after, left + pace.after
    else:
        least, most = left - TOLD_EVERY_SECONDS + pace.after, pace.before + left + pace.after
    whole = pace.before + plan.full * full + plan.cached * pace.predicted + pace.after
    by_clock = most if progress.started_at is None else progress.started_at + whole - now
    return max(0.0, least, min(most, by_clock))


def expected_snr(request: GenerationRequest, plan: Plan, completed: Sequence[Job]) -> float | None:
    """What the method expected of the last job with as many steps, in full and in all; in dB."""
    for job in completed:
        report = job.report
        if (
            report is not None
            and report.account is not None
            and report.account.expected_snr is not None
            and (report.steps, report.full_steps) == (request.steps, plan.full)
        ):
            return report.account.expected_snr
    return None
