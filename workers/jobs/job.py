"""What a job is: what was asked for, where it stands, what came out. Everything here is plain data and torch-free."""

import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field

from workers.jobs.artifact import Artifact
from workers.jobs.frozen import Frozen
from workers.jobs.group import Group

Media = Literal["video", "image"]
_ID = re.compile(r"(?P<media>video|image)_(?P<model>[a-z0-9][a-z0-9.\-]*)_[0-9a-f]{32}")

Stage = Literal["encode_prompt", "denoise", "decode", "encode_video", "store"]
StepKind = Literal["full", "predicted"]


@dataclass(frozen=True, slots=True)
class JobKey:
    """Which job of which tenant. Where a tenant asks, a job of another one does not exist."""

    tenant: str
    job_id: str


@dataclass(frozen=True, slots=True)
class AttemptKey(JobKey):
    """Which attempt at a job. `token` is random, and compared for equality on every write."""

    token: str


class JobState(StrEnum):
    """Where a job stands. The last four are terminal: they never change."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"  # failed on every attempt it was allowed

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Priority(StrEnum):
    """In order of service."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


#: Seeds are below this: a generator of torch reads no more than 32 bits of one.
SEEDS = 2**32
LEAST_SF = 2  # a difference needs two full steps
LEAST_SHIFT, MOST_SHIFT = 0.01, 100.0  # beyond these nearly all steps fall on one end of the noise schedule
MOST_GUIDANCE, MOST_FPS, MOST_STEPS, MOST_FRAMES = 100, 120, 10_000, 100_000


def uncached_sf(steps: int) -> int:
    """The sf with which a run of so many steps is the plain pipeline."""
    return max(LEAST_SF, steps)


class GenerationRequest(Frozen):
    """One generation, with every default filled in, so that the same request gives the same video later.

    Sizes are in pixels, `fps` in frames a second. `sf` is the speed knob, with the paper's method the number of initial
    full steps; `sf >= steps` runs the plain pipeline. `full_steps`, where it is given, is how many steps are computed
    in full in all, in place of the number that belongs to `sf`. Without `flow_shift` the noise schedule is the
    checkpoint's own.
    `allow_uncalibrated` has the paper's method accelerate also where no coefficients fit, with alpha = 1.
    Without `truncate_prompt` the job fails where a text encoder would not read the whole prompt.
    `basis_runs`, where it is given, is how many of the measured runs predictions rest on, rather than all there are.
    `guidance_2` is the guidance of the second of two experts. `input_reference` is the SHA-256 of the picture that the
    result starts from; its file lies with the job's (`workers.jobs.artifacts`).
    """

    model: str
    prompt: str = Field(min_length=1, max_length=32_000)
    negative_prompt: str = Field(default="", max_length=32_000)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: int = Field(gt=0, le=MOST_FRAMES)
    fps: int = Field(gt=0, le=MOST_FPS)
    steps: int = Field(gt=0, le=MOST_STEPS)
    sf: int = Field(ge=LEAST_SF)
    full_steps: int | None = Field(default=None, ge=LEAST_SF)
    guidance: float = Field(ge=0, le=MOST_GUIDANCE)
    true_cfg_scale: float = Field(default=1.0, ge=1, le=MOST_GUIDANCE)
    flow_shift: float | None = Field(default=None, ge=LEAST_SHIFT, le=MOST_SHIFT)
    seed: int = Field(ge=0, lt=SEEDS)
    allow_uncalibrated: bool = False
    truncate_prompt: bool = True
    basis_runs: int | None = Field(default=None, ge=0)
    guidance_2: float | None = Field(default=None, ge=0, le=MOST_GUIDANCE)
    input_reference: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @property
    def seconds(self) -> float:
        """Length of the result."""
        return self.frames / self.fps

    @property
    def wants_acceleration(self) -> bool:
        """Whether fewer steps than all are to be computed in full."""
        return self.sf < self.steps

    @property
    def has_room_for_predictions(self) -> bool:
        """Whether the run has room for a predicted step between its first `sf` and its last one."""
        return self.steps >= self.sf + 2

    @property
    def uncached(self) -> Self:
        """The same generation by the plain pipeline."""
        return self.model_copy(update={"sf": uncached_sf(self.steps), "full_steps": None})


class JobError(Frozen):
    """Why a job ended without a result. `code` is stable, `message` is for people and free of internals."""

    code: str
    message: str


class ReasonCode(StrEnum):
    """Why a run was computed in full throughout, or what its coefficients stand on where they were not measured."""

    NOT_REQUESTED = "not_requested"
    TOO_FEW_STEPS = "too_few_steps"
    NOT_CALIBRATED = "not_calibrated"
    OTHER_SETTINGS = "other_settings"
    NO_STEP_PREDICTED = "no_step_predicted"
    LITTLE_GAIN = "little_gain"
    UNSUPPORTED_SOLVER = "unsupported_solver"
    RESAMPLED = "resampled"
    UNCALIBRATED = "uncalibrated"

    @property
    def accelerated(self) -> bool:
        """Whether steps are predicted all the same."""
        return self in (ReasonCode.RESAMPLED, ReasonCode.UNCALIBRATED)


class Reason(Frozen):
    """A code for programs and a detail for people; as text `code: detail`, or the code alone."""

    code: ReasonCode
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code.value


PromptName = Literal["prompt", "negative_prompt"]


class PromptTokens(Frozen):
    """How many tokens of a prompt a text encoder read, of how many that it has."""

    prompt: PromptName
    encoder: str
    read: int
    total: int


class Basis(Frozen):
    """What a run's predictions rested on.

    kind: `prior` before anything of the model was measured, `measured` by uncached runs of it, `adapted` where the run
        itself showed that something else describes it better. runs: how many uncached runs had been measured.
    plan: by which covariance it was settled which steps are computed in full: `expected`, by that of the predictions,
        or `tried`, by the one that whole runs have chosen when the model was calibrated.
    """

    kind: Literal["prior", "measured", "adapted"]
    runs: int
    plan: Literal["expected", "tried"] = "expected"


class Misprediction(Frozen):
    """How far off a prediction of a full step's output would have been; mean squares, relative to the output's own."""

    step: int
    expected: float
    measured: float


class Account(Frozen):
    """What is particular to the method that a run was accelerated by.

    `added_steps` are the full steps beyond the plan, since predictions had been further off than expected.
    `expected_snr` is that of the latents against an uncached run's, in dB, where the method knows it. `epsilon` and
    `delta` are the paper's accumulated error and threshold before each step, null where that is no finite number.
    """

    method: Literal["covariance", "paper"]
    basis: Basis | None = None
    mispredictions: list[Misprediction] = Field(default_factory=list)
    added_steps: list[int] = Field(default_factory=list)
    expected_snr: float | None = None
    epsilon: list[float | None] = Field(default_factory=list)
    delta: list[float | None] = Field(default_factory=list)


class RunReport(Frozen):
    """What really happened in one generation; all times in seconds.

    `decisions` has one letter a step: F computed in full, P predicted. `full_step_seconds` is the mean over full steps
    but the first. `speedup_measured` is `full_step_seconds` × steps / the denoise time; `speedup_estimated` is steps /
    full steps. `reason` says why acceleration did not engage, or what its coefficients stand on where they were not
    measured for this request. `account` is None for a run that nothing accelerated.
    `no_effect` names the settings that did not shape the result, with the reason. `parallel` is None for a run of one
    process.
    """

    steps: int
    full_steps: int
    cached_steps: int
    decisions: str
    engaged: bool
    reason: Reason | None
    speedup_measured: float
    speedup_estimated: float
    full_step_seconds: float
    predicted_step_seconds: float | None
    cache_bytes: int
    timings: dict[Stage, float]
    account: Account | None = None
    no_effect: dict[str, str] = Field(default_factory=dict)
    prompt_tokens: list[PromptTokens] = Field(default_factory=list)
    parallel: Group | None = None


class Job(Frozen):
    """The record as it stands in Redis. Times are Unix seconds by the Redis server's clock.

    `webhook_url` is where a message goes when the job has ended, and `webhook_id` the id of that message.
    `remixed_from` is the id of the job whose settings it has. `result_of` is the id of the identical job that is
    computed for both. `decisions` has a letter for each step that the attempt has done, where the worker says so, and
    `full_step_seconds` is the mean time of its full steps.
    """

    id: str
    tenant: str
    priority: Priority
    request: GenerationRequest
    metadata: dict[str, str] = Field(default_factory=dict)
    state: JobState
    created_at: float
    deadline_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    attempts: int = 0
    worker: str | None = None
    stage: Stage | None = None
    step: int = 0
    decisions: str = ""
    full_step_seconds: float | None = None
    cancel_requested: bool = False
    error: JobError | None = None
    artifact: Artifact | None = None
    report: RunReport | None = None
    webhook_id: str | None = None
    webhook_url: str | None = None
    remixed_from: str | None = None
    result_of: str | None = None

    @property
    def key(self) -> JobKey:
        """What the job goes by."""
        return JobKey(self.tenant, self.id)


def new_job_id(model: str, media: Media = "video") -> str:
    """A random 128-bit id that carries its model, so that every key of the job can be found from the id alone."""
    return f"{media}_{model}_{secrets.token_hex(16)}"


def model_of(job_id: str) -> str | None:
    """The model in a job id, or None when the id cannot be one of ours."""
    match = _ID.fullmatch(job_id)
    return match["model"] if match else None
