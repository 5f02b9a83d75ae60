"""What the process that holds the models needs of whatever runs jobs on them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from workers.models.prompt_reader import PromptReader
from workers.process.events import Again, Done, Event, LeftOut, Observed, RanAgain, Run, Warmed


class RunsJobs(Protocol):
    """What the process needs of `workers.process.runner.Runner`."""

    def load(self, names: Sequence[str]) -> list[str]:
        """Load models by their names in the catalogue; returns the fingerprint of each one's weights.

        Raises an error of `workers.jobs.errors`.
        """

    def version(self, model: str) -> str:
        """What a loaded model computes with: where that is equal, equal requests with equal knowledge get equal files.
        Empty where that is not known."""

    def warmed(self, model: str) -> Warmed | None:
        """What a loaded model's warm-up has shown of it, if it had one."""

    def readers(self, model: str) -> Sequence[PromptReader]:
        """What counts the tokens of a loaded model's prompts, in any process."""

    def observe(self, observed: Observed) -> None:
        """Take in what uncached runs of a model have shown."""

    def run(self, run: Run, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> Done:
        """Run one job and publish its file. Raises `JobCancelled` soon after `stopped` is true, and `AttemptFailed`."""

    def run_again(self, again: Again, emit: Callable[[Event], None], stopped: Callable[[], bool]) -> RanAgain | LeftOut:
        """Run a completed job again, uncached, and publish nothing. Raises as `run`."""
