"""The only things that cross the pipe between the supervisor and the process that holds the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from workers.jobs.artifact import Artifact
from workers.jobs.job import AttemptKey, GenerationRequest, JobError, JobKey, Misprediction, RunReport, Stage, StepKind
from workers.models.prompt_reader import PromptReader

# Supervisor to child. Closing the pipe tells the child to exit.


@dataclass(frozen=True, slots=True)
class Run:
    """Generate this now. The attempt's key names the artifact's folder."""

    key: AttemptKey
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class Observed:
    """What uncached runs of a model have shown since the last of these, on any worker; holds for the runs to come.

    colours: what workers have learnt of how previews are coloured, `ColourFit` as JSON; None where nothing is new.
    anew: what was told before is to be forgotten.
    """

    model: str
    texts: tuple[str, ...]
    colours: str | None = None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Try once more to load these models. Sent while no job runs; the answer is `Ready`."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Again:
    """Run a completed job again, uncached, while nothing else is to be done.

    id: of this run, which its events and a `Stop` name in place of a job.
    delivered: the job's result, to compare with; None where the run is only to teach.
    """

    id: str
    key: JobKey
    request: GenerationRequest
    delivered: Artifact | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up the running job at the next step."""

    job_id: str


# Child to supervisor.


@dataclass(frozen=True, slots=True)
class Learnt:
    """What becomes of what an uncached run has shown of its model. text: for the workers' common list, if any."""

    verdict: Literal["promoted", "held_back", "not_needed", "known"]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Warmed:
    """A warm-up's request, and what it has shown, for the workers' common list; held back there."""

    request: GenerationRequest
    text: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The models are loaded, each in so many seconds; `fingerprints` are of their weights.

    readers: what counts the tokens of their prompts, versions what they compute with, and warmed what the warm-ups of
    those that had one have shown, by model.
    failed: those that cannot be loaded, with the reason; the others are served without them.
    failing_seconds: how long these took until then, together.
    """

    models: tuple[str, ...]
    seconds: tuple[float, ...]
    fingerprints: tuple[str, ...]
    failed: Mapping[str, JobError]
    failing_seconds: float = 0.0
    readers: Mapping[str, Sequence[PromptReader]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    warmed: Mapping[str, Warmed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """None of the models can be loaded; the process ends. `code` is that of an error of `workers.jobs.errors`."""

    code: str
    message: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageStarted:
    """The job enters a stage."""

    job_id: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class StepDone:
    """Denoising step `index` (from 0) is done, in `seconds`. shown: how far off a prediction of it would have been,
    where it has shown that."""

    job_id: str
    index: int
    kind: StepKind
    seconds: float
    shown: Misprediction | None = None


@dataclass(frozen=True, slots=True)
class PreviewMade:
    """What the job looks as if it will become, after so many steps; an animated WebP of few small frames."""

    job_id: str
    step: int
    picture: bytes


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How near a delivered result is to the uncached one, both as files: PSNR in dB and SSIM, means over frames."""

    psnr: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Done:
    """The job's file is published; the queue does not know yet. learnt: where it was an uncached run. prompt_known:
    whether the prompt had been encoded before, and was not again. colours: what is known since of how previews are
    coloured, where the run taught that."""

    job_id: str
    report: RunReport
    artifact: Artifact
    learnt: Learnt | None = None
    prompt_known: bool = False
    colours: str | None = None


@dataclass(frozen=True, slots=True)
class RanAgain:
    """What came out of an `Again`. fidelity: where there was something to compare with."""

    job_id: str
    learnt: Learnt
    fidelity: Fidelity | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An `Again` that was not run: what it needs is gone, or enough is known already."""

    job_id: str
    why: Literal["gone", "not_needed"]


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was given up because a `Stop` came."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended with this `AttemptFailed`; `message` is safe to show to a client."""

    job_id: str
    code: str
    message: str
    max_attempts: int
    poisons_process: bool


Command = Run | Again | Observed | Load | Stop
LoadEvent = Ready | LoadFailed
Progress = StageStarted | StepDone
Ending = Done | Stopped | Failed
EndingAgain = RanAgain | LeftOut | Stopped | Failed
Event = LoadEvent | Progress | PreviewMade | Ending | EndingAgain
