"""What carries a run's acceleration, whichever method it is."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import nn

from workers.jobs.job import Account, Misprediction
from workers.models.family import Family


class Attachment(Protocol):
    """What looks at, or takes over, the steps of one run."""

    @property
    def decisions(self) -> str:
        """One letter for each step that is over: F computed in full, P predicted."""

    def attached(
        self, family: Family, transformers: Sequence[nn.Module], scheduler: Any
    ) -> AbstractContextManager[None]:
        """Inside, the pipeline's steps are computed or predicted as the attachment decides.

        scheduler: the run's own. Raises `UnsupportedPipeline` where the method does not fit the pipeline.
        """

    def end_step(self) -> Misprediction | None:
        """The pipeline's step is over, its callback runs. Gives how far off a prediction of the step would have been,
        where it has shown that."""


class Session(Attachment, Protocol):
    """The state of one accelerated run: made before it, closed after it, however it ends."""

    @property
    def peak_cache_bytes(self) -> int:
        """The most device memory held at once."""

    def account(self) -> Account:
        """What the report says of the method."""

    def close(self) -> None:
        """Drop all tensors. Safe to call more than once."""
