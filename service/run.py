"""What a job's run was like, in the same fields for videos and images."""

from pydantic import BaseModel, Field

from service.pairing import scene_of, setting_of
from workers.jobs.group import Group
from workers.jobs.job import Basis, Job, Misprediction, PromptTokens
from workers.jobs.no_effect import idle_settings
from workers.models.entry import Method
from workers.models.family import Family


class Speedup(BaseModel):
    """How many times faster the job's denoising was than without caching."""

    measured: float = Field(description="Mean time of this job's full steps × steps / its denoise time.")
    estimated: float = Field(description="steps / full steps.")


class Timings(BaseModel):
    """Seconds that each stage took; null for a stage that has not happened."""

    queued: float | None = None
    encode: float | None = Field(default=None, description="Encoding the prompt, and the image.")
    denoise: float | None = None
    decode: float | None = None
    encode_video: float | None = Field(default=None, description="Writing the frames as MP4 or PNG.")
    upload: float | None = Field(default=None, description="Storing the file.")


class Run(BaseModel):
    """Null, but for `scene`, `decisions`, the timings and `no_effect`, until the job is completed."""

    scene: str = Field(
        description="Equal for results that differ in nothing but `steps`, `sf`, `target_speedup`, `basis_runs` and "
        "`allow_uncalibrated`: those that a study sets beside each other."
    )
    setting: str | None = Field(
        description="How it was computed, whatever was asked for, as studies name it: `sf 10, 50 steps`."
    )
    full_steps: int | None
    cached_steps: int | None
    decisions: str | None = Field(description="One letter a step that is done: F computed in full, P predicted.")
    engaged: bool | None = Field(description="Whether ScalingCache was in force.")
    reason: str | None = Field(
        description="Why ScalingCache was not in force: a code, as `little_gain`, and mostly after a colon and a space "
        "what it was; with the method `paper` also that its coefficients were not measured for this request: "
        "`resampled`, `uncalibrated`."
    )
    method: Method | None = Field(description="How steps were predicted; null for an uncached run.")
    basis: Basis | None = Field(
        description="What predictions rested on: `prior` before anything of the model was measured, `measured` by so "
        "many uncached runs, or `adapted` where this run showed that something else describes it better. `plan` says "
        "how it was settled which steps to compute in full: by the `expected` error, or as whole runs have chosen that "
        "were `tried` when the model was calibrated."
    )
    expected_snr: float | None = Field(
        description="Signal to noise of the latents against an uncached run's, in dB, as expected by the method."
    )
    mispredictions: list[Misprediction] | None = Field(
        description="At each full step after predicted ones, how far off a prediction would have been, as a mean "
        "square relative to the output's own: expected before, and measured. Steps count from 0."
    )
    added_steps: list[int] | None = Field(
        description="Steps computed in full beyond those that `sf` or `target_speedup` says, since predictions had "
        "been further off than expected; counted from 0."
    )
    speedup: Speedup | None
    parallel: Group | None = Field(
        description="The processes that computed it together, each with a GPU of its own; null for one alone."
    )
    no_effect: dict[str, str] = Field(
        description="The settings of this job that do not shape its result, by name, each with the reason."
    )
    prompt_tokens: list[PromptTokens] | None = Field(
        description="For each prompt and text encoder how many tokens it read, of how many in all."
    )
    variants: list[str] | None = Field(description="What `variant` of the content may be: the result, its previews.")
    timings: Timings


def run_of(job: Job, family: Family | None = None) -> Run:
    """The run of a job as far as it has come.

    family: of its model, to tell before the run what it will leave out; None when it is not served any more.
    """
    report = job.report
    account = report and report.account
    return Run(
        scene=scene_of(job),
        setting=setting_of(job).label if job.artifact and report else None,
        full_steps=report and report.full_steps,
        cached_steps=report and report.cached_steps,
        decisions=report.decisions if report else job.decisions or None,
        engaged=report and report.engaged,
        reason=str(report.reason) if report and report.reason else None,
        method=account and account.method,
        basis=account and account.basis,
        expected_snr=account and account.expected_snr,
        mispredictions=account and account.mispredictions,
        added_steps=account and account.added_steps,
        speedup=report and Speedup(measured=report.speedup_measured, estimated=report.speedup_estimated),
        parallel=report and report.parallel,
        no_effect=_no_effect(job, family),
        prompt_tokens=report and report.prompt_tokens,
        variants=variants_of(job),
        timings=_timings(job),
    )


def variants_of(job: Job) -> list[str] | None:
    """The result by the kind of its media, then its previews; None until there is a result."""
    return None if job.artifact is None else [job.id.partition("_")[0], *job.artifact.previews]


def _no_effect(job: Job, family: Family | None) -> dict[str, str]:
    report, request = job.report, job.request
    if report is None:
        return {} if family is None else family.without_effect(request)
    return idle_settings(request, report)


def _timings(job: Job) -> Timings:
    stages = job.report.timings if job.report else {}
    return Timings(
        # One that shares a computation may have come after that began.
        queued=None if job.started_at is None else max(0.0, job.started_at - job.created_at),
        encode=stages.get("encode_prompt"),
        denoise=stages.get("denoise"),
        decode=stages.get("decode"),
        encode_video=stages.get("encode_video"),
        upload=stages.get("store"),
    )
