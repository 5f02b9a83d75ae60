"""The only things that cross the pipe between the supervisor and the process that holds the model."""

from dataclasses import dataclass

from workers.jobs.job import Artifact, AttemptKey, GenerationRequest, RunReport, Stage, StepKind

# Supervisor to child. Closing the pipe tells the child to exit.


@dataclass(frozen=True, slots=True)
class Run:
    """Generate this now. The attempt's key names the artifact's folder."""

    key: AttemptKey
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up the running job at the next step."""

    job_id: str


# Child to supervisor.


@dataclass(frozen=True, slots=True)
class Ready:
    """The models are loaded, each in so many seconds."""

    models: tuple[str, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StageStarted:
    stage: Stage


@dataclass(frozen=True, slots=True)
class StepDone:
    """Denoising step `index` (from 0) is done, in `seconds`."""

    index: int
    kind: StepKind
    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    report: RunReport
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was given up because a `Stop` came."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended with an error of `workers.jobs.errors`; `message` is safe to show to a client."""

    code: str
    message: str
    max_attempts: int
    poisons_process: bool


Command = Run | Stop
Event = Ready | StageStarted | StepDone | Done | Stopped | Failed
