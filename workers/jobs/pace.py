"""How long runs took: the last ones of each kind, kept longer than their jobs are, and without what was asked for."""

from typing import Any, Self

from pydantic import Field

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.frozen import Frozen
from workers.jobs.job import GenerationRequest, RunReport


class MeasuredRun(Frozen):
    """A run that was completed, with what its time depends on. Sizes are in pixels, times in seconds.

    guided, true_guided: whether each step ran the transformer again, for either kind of guidance. asked_full_steps: as
    the request had them. full_steps, cached_steps: as there were in the end. encode_seconds: of the prompt. seconds: of
    the whole, from start to end. software: what it was computed with, as in `Version`; empty where that is not known.
    """

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    frames: int = Field(gt=0)
    guided: bool
    true_guided: bool
    steps: int
    sf: int
    asked_full_steps: int | None = None
    full_steps: int
    cached_steps: int
    full_step_seconds: float = Field(gt=0)
    predicted_step_seconds: float | None
    encode_seconds: float
    seconds: float
    software: str = ""

    @classmethod
    def of(cls, request: GenerationRequest, report: RunReport, software: str = "") -> Self | None:
        """None where a step has taken no time, as none does."""
        if not report.full_step_seconds > 0:
            return None
        return cls(
            width=request.width,
            height=request.height,
            frames=request.frames,
            guided=request.guidance > 1,
            true_guided=request.true_cfg_scale > 1,
            steps=report.steps,
            sf=request.sf,
            asked_full_steps=request.full_steps,
            full_steps=report.full_steps,
            cached_steps=report.cached_steps,
            full_step_seconds=report.full_step_seconds,
            predicted_step_seconds=report.predicted_step_seconds,
            encode_seconds=report.timings.get("encode_prompt", 0.0),
            seconds=sum(report.timings.values()),
            software=software,
        )

    @property
    def kind(self) -> str:
        """Runs that are alike in it take the same time a step."""
        return f"{self.width}x{self.height}x{self.frames}:{self.guided:d}{self.true_guided:d}"

    @property
    def volume(self) -> int:
        """Pixels of all frames."""
        return self.width * self.height * self.frames


class MeasuredRuns:
    """Reads only. `Leases.complete` writes them. What a model's runs were is parsed once. Safe to share between
    threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, dict[str, MeasuredRun | None]] = {}

    def of(self, model: str) -> list[MeasuredRun]:
        """A model's, of each kind the newest first. Those that another version wrote are left out. Raises
        `QueueUnavailable`."""
        with self._connection.asking():
            kinds: list[Any] = self._connection.commands.zrange(keys.pace(model), 0, -1)
            with self._connection.commands.pipeline(transaction=False) as pipeline:
                for kind in kinds:
                    pipeline.zrange(keys.pace_of(model, kind), 0, -1, desc=True)
                texts: list[str] = [text for kept in pipeline.execute() for text in kept]
        before = self._known.get(model, {})
        known = {text: before[text] if text in before else _read(text) for text in texts}
        self._known[model] = known
        return [run for text in texts if (run := known[text]) is not None]


def _read(text: str) -> MeasuredRun | None:
    held, _, what = text.partition(" ")
    try:
        run = MeasuredRun.model_validate_json(what)
        return run.model_copy(update={"seconds": max(run.seconds, float(held))})
    except ValueError:
        return None
