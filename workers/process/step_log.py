"""What an attempt's finished steps were like, for those who follow it."""

from statistics import fmean

from workers.jobs.job import Misprediction
from workers.jobs.leases import StepDetails
from workers.process.events import StepDone


class StepLog:
    """Grows with each step; what was told once is not told again, but for the kinds of all steps."""

    def __init__(self) -> None:
        self.decisions = ""
        self._full_seconds: list[float] = []
        self._shown: list[Misprediction] = []
        self._told = 0

    @property
    def untold(self) -> bool:
        """Whether there is a step that was not told of."""
        return len(self.decisions) > self._told

    def add(self, step: StepDone) -> None:
        """A step is done."""
        self.decisions += "F" if step.kind == "full" else "P"
        if step.kind == "full":
            self._full_seconds.append(step.seconds)
        if step.shown is not None:
            self._shown.append(step.shown)

    def details(self) -> StepDetails:
        """What is to be told now."""
        usual = self._full_seconds[1:] or self._full_seconds  # The first may have warmed up the device.
        return StepDetails(self.decisions, fmean(usual) if usual else 0.0, tuple(self._shown))

    def told(self, details: StepDetails) -> None:
        """It was."""
        self._told = len(details.decisions)
        del self._shown[: len(details.mispredictions)]
