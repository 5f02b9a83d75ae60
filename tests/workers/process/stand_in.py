"""A worker whose model takes no time and does what the prompt says; run as `python -m tests.workers.process.stand_in`.

Everything but the model is the real thing. Prompts: `steps <n> of <seconds>`, `speak of another job`, `show <what>`,
`colour <how>`, `what was observed`, and those in `_MISBEHAVE`. A rerun takes its steps as the job does, or as many as
the file `AGAIN` says, and ends when that changes.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from tests.workers.factories import a_report
from workers import logs
from workers.jobs.errors import (
    DeviceError,
    GroupFailed,
    InvalidRequest,
    JobCancelled,
    ModelLoadFailed,
    OutOfMemory,
    StorageFull,
)
from workers.jobs.job import Account, Basis
from workers.jobs.s3_location import Waits
from workers.jobs.storage import open_store
from workers.models.prompt_reader import PromptReader
from workers.process.child import ChildSettings
from workers.process.events import (
    Again,
    Done,
    Event,
    Fidelity,
    Learnt,
    LeftOut,
    Observed,
    RanAgain,
    Run,
    StageStarted,
    StepDone,
    Stopped,
    Warmed,
)
from workers.process.runs_jobs import RunsJobs
from workers.process.settings import Settings
from workers.process.shutdown import Shutdown
from workers.process.supervisor import Supervisor

#: While a file of this name lies in the artifact folder, no model can be loaded; with `-<model>` behind it, that one.
BROKEN = "model-is-broken"
#: The prompt that a rerun follows in place of the job's, in the artifact folder.
AGAIN = "rerun-prompt"
#: While a file of this name lies in the artifact folder, a job stays at its first step.
HOLD = "hold"


def _raise(error: Exception) -> None:
    raise error


_MISBEHAVE: dict[str, Callable[[], object]] = {
    "abort": os.abort,
    "hang": lambda: time.sleep(3600),
    "run out of memory": lambda: _raise(OutOfMemory("no memory")),
    "break the device": lambda: _raise(DeviceError("broken")),
    "fill the disk": lambda: _raise(StorageFull("full")),
    "part": lambda: _raise(GroupFailed("rank 1 is elsewhere", parted=True)),
    "lose a rank": lambda: _raise(GroupFailed("rank 1 did not come")),
    "refuse": lambda: _raise(InvalidRequest("prompt", "not this one")),
    "raise": lambda: _raise(RuntimeError("a secret")),
}


class StandInRunner:
    def __init__(self, settings: ChildSettings) -> None:
        self._store = open_store(settings.artifacts, settings.s3, Waits(connect=1, request=2, retries=10, retry=6))
        self._folder = settings.artifacts
        self._observed: list[str] = []

    def load(self, names: Sequence[str]) -> list[str]:
        if any((self._folder / each).exists() for each in (BROKEN, *(f"{BROKEN}-{name}" for name in names))):
            raise ModelLoadFailed("broken")
        return ["" for _ in names]

    def version(self, model: str) -> str:
        return f"stand-in-{model}"

    def warmed(self, model: str) -> Warmed | None:
        return None

    def readers(self, model: str) -> Sequence[PromptReader]:
        words = Tokenizer(models.WordLevel({"<unk>": 0}, "<unk>"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        return [PromptReader("text_encoder", words, 8)]

    def observe(self, observed: Observed) -> None:
        if observed.anew:
            self._observed = []
        self._observed += [*observed.texts, *([observed.colours] if observed.colours else [])]

    def run(self, run: Run, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> Done:
        emit(StageStarted(run.key.job_id, "denoise"))
        if misbehave := _MISBEHAVE.get(run.request.prompt):
            misbehave()
        if run.request.prompt == "speak of another job":
            emit(StepDone("another", 40, "full", 0.0))
            emit(Stopped("another"))
        hold = self._folder / HOLD
        _take_steps(run.request.prompt, run.key.job_id, emit, stopped, held=hold.exists)
        told = run.request.prompt == "what was observed"
        content = (" ".join(self._observed) if told else f"{os.getpid()}").encode()
        shown = run.request.prompt.removeprefix("show ") if run.request.prompt.startswith("show ") else None
        artifact = self._store.publish(run.key, "video.mp4", lambda path: _write(path, content), "video/mp4")
        account = Account(method="covariance", basis=Basis(kind="prior", runs=0))
        report = a_report().model_copy(update={"account": account})
        learnt = None if shown is None else Learnt("promoted", shown)
        colours = run.request.prompt.removeprefix("colour ") if run.request.prompt.startswith("colour ") else None
        return Done(run.key.job_id, report, artifact, learnt, colours=colours)

    def run_again(self, again: Again, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> RanAgain | LeftOut:
        prompt = self._prompt_again(again)
        if misbehave := _MISBEHAVE.get(prompt):
            misbehave()
        _take_steps(prompt, again.id, emit, stopped, over=lambda: self._prompt_again(again) != prompt)
        if again.delivered is not None and not self._store.path(again.delivered).exists():
            return LeftOut(again.id, "gone")
        learnt = Learnt("held_back", f"again {again.request.prompt}")
        return RanAgain(again.id, learnt, None if again.delivered is None else Fidelity(40.0, 0.95))

    def _prompt_again(self, again: Again) -> str:
        file = self._folder / AGAIN
        return file.read_text() if file.exists() else again.request.prompt


def _take_steps(
    prompt: str,
    id: str,
    emit: Callable[[Event], None],
    stopped: Callable[[], bool],
    held: Callable[[], bool] = lambda: False,
    over: Callable[[], bool] = lambda: False,
) -> None:
    match = re.fullmatch(r"steps (\d+) of ([\d.]+)", prompt)
    steps, seconds = (int(match[1]), float(match[2])) if match else (1, 0.0)
    for index in range(steps):
        time.sleep(seconds)
        emit(StepDone(id, index, "full", seconds))
        while held() and not stopped():
            time.sleep(0.01)
        if stopped():
            raise JobCancelled("stopped")
        if over():
            return


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def make(settings: ChildSettings) -> RunsJobs:
    return StandInRunner(settings)


def main() -> None:
    logs.configure()
    settings = Settings()
    shutdown = Shutdown()
    shutdown.install()
    Supervisor(settings, settings.read_catalogue(), shutdown, make).run()


if __name__ == "__main__":
    main()
