"""What a request would take: decided from the times that earlier jobs of its model took. Nothing here asks Redis."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from workers.jobs.job import GenerationRequest, Job, JobState, RunReport
from workers.models.entry import Method
from workers.scalingcache.budget import full_steps, worthwhile


@dataclass(frozen=True, slots=True)
class Plan:
    """How many steps would be computed in full, and how many predicted."""

    full: int
    cached: int


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds, as medians over earlier jobs. other: all that is no step. jobs: over how many. same_size: whether they
    made results of the request's size; else the times are those of other sizes, by pixels and frames."""

    full: float
    predicted: float
    other: float
    jobs: int
    same_size: bool


def plan_of(request: GenerationRequest, method: Method) -> Plan | None:
    """The steps of a run, as planned; one whose predictions turn out bad computes a few more. None where the method
    decides as it goes."""
    if not request.wants_acceleration:
        return Plan(request.steps, 0)
    if method == "paper":
        return None
    count = request.full_steps or full_steps(request.sf, request.steps)
    count = count if worthwhile(count, request.steps) else request.steps
    return Plan(count, request.steps - count)


def step_times(request: GenerationRequest, completed: Sequence[Job]) -> StepTimes | None:
    """By earlier jobs of the model that ran the transformer as often a step; None without any."""
    known = [(job.request, job.report) for job in completed if job.report and job.report.full_step_seconds > 0]
    passes = [pair for pair in known if _passes(pair[0]) == _passes(request)]
    alike = [pair for pair in passes if _size(pair[0]) == _size(request)]
    chosen = alike or passes
    if not chosen:
        return None
    scaled = [(report, _volume(request) / _volume(other)) for other, report in chosen]
    predicted = [report.predicted_step_seconds * by for report, by in scaled if report.predicted_step_seconds]
    return StepTimes(
        full=median(report.full_step_seconds * by for report, by in scaled),
        predicted=median(predicted) if predicted else 0.0,
        other=median(_other_seconds(report) * by for report, by in scaled),
        jobs=len(chosen),
        same_size=bool(alike),
    )


def run_seconds(plan: Plan, times: StepTimes) -> float:
    """How long a worker would have the job."""
    return plan.full * times.full + plan.cached * times.predicted + times.other


def queued_seconds(ahead: int, running: int, workers: int, completed: Sequence[Job]) -> float | None:
    """How long a job would wait behind so many, where each takes what the last ones took and the running ones are half
    done on average. None without a worker, or where nothing was measured and there is something to wait for."""
    if workers == 0:
        return None
    if ahead == 0 and running < workers:
        return 0.0
    if not completed:
        return None
    each = fmean(sum(job.report.timings.values()) for job in completed if job.report)
    return (ahead + running / 2) * each / workers


def decisions(request: GenerationRequest, plan: Plan, earlier: Iterable[str]) -> str | None:
    """A letter a step, F in full and P predicted. earlier: those of other runs of the model, of which the first with as
    many steps, in full and in all, tells; None without one."""
    if plan.cached == 0:
        return "F" * plan.full
    return next((each for each in earlier if (len(each), each.count("F")) == (request.steps, plan.full)), None)


def eta_seconds(job: Job, method: Method | None) -> float | None:
    """Estimated time to a running job's last denoising step."""
    if job.state is not JobState.RUNNING:
        return None
    return eta_at(job.request, method, job.decisions.count("F"), job.full_step_seconds)


def eta_at(
    request: GenerationRequest, method: Method | None, full_steps: int | None, full_step_seconds: float | None
) -> float | None:
    """The same after so many full steps, that took so long on average. They take nearly all of it, and how many are to
    come follows from the plan. None before the first step, and where the method decides as it goes."""
    plan = plan_of(request, method) if method else None
    if not full_steps or full_step_seconds is None or plan is None:
        return None
    return max(0, plan.full - full_steps) * full_step_seconds


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


def _passes(request: GenerationRequest) -> tuple[bool, bool]:
    return request.guidance > 1, request.true_cfg_scale > 1


def _size(request: GenerationRequest) -> tuple[int, int, int]:
    return request.width, request.height, request.frames


def _volume(request: GenerationRequest) -> int:
    return request.width * request.height * request.frames


def _other_seconds(report: RunReport) -> float:
    return sum(seconds for stage, seconds in report.timings.items() if stage != "denoise")
