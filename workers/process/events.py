"""The only things that cross the pipe between the supervisor and the process that holds the model."""

from collections.abc import Mapping
from dataclasses import dataclass

from workers.jobs.job import Artifact, AttemptKey, GenerationRequest, JobError, RunReport, Stage, StepKind

# Supervisor to child. Closing the pipe tells the child to exit.


@dataclass(frozen=True, slots=True)
class Run:
    """Generate this now. The attempt's key names the artifact's folder."""

    key: AttemptKey
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class Observed:
    """What uncached runs of a model have shown since the last of these, on any worker; holds for the runs to come."""

    model: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Try once more to load these models. Sent while no job runs; the answer is `Ready`."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up the running job at the next step."""

    job_id: str


# Child to supervisor.


@dataclass(frozen=True, slots=True)
class Ready:
    """The models are loaded, each in so many seconds; `fingerprints` are of their weights.

    failed: those that cannot be loaded, with the reason; the others are served without them.
    """

    models: tuple[str, ...]
    seconds: tuple[float, ...]
    fingerprints: tuple[str, ...]
    failed: Mapping[str, JobError]


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """None of the models can be loaded; the process ends. `code` is that of an error of `workers.jobs.errors`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StageStarted:
    """The job enters a stage."""

    job_id: str
    stage: Stage


@dataclass(frozen=True, slots=True)
class StepDone:
    """Denoising step `index` (from 0) is done, in `seconds`."""

    job_id: str
    index: int
    kind: StepKind
    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The job's file is published; the queue does not know yet.

    observation: what the run has shown of its model, where it was an uncached one.
    """

    job_id: str
    report: RunReport
    artifact: Artifact
    observation: str | None = None


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


Command = Run | Observed | Load | Stop
LoadEvent = Ready | LoadFailed
Progress = StageStarted | StepDone
Ending = Done | Stopped | Failed
Event = LoadEvent | Progress | Ending
