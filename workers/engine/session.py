"""What carries a run's acceleration, whichever method it is."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

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

    @property
    def recipe(self) -> dict[str, Any]:
        """What it is made of, as JSON has it, with its `method`: two of one recipe do the same with one run."""

    def account(self) -> Account:
        """What the report says of the method."""

    def close(self) -> None:
        """Drop all tensors. Safe to call more than once."""


@runtime_checkable
class Shareable(Attachment, Protocol):
    """One that several processes can have alike, each with a part of the model's tokens and all with its outputs."""

    @property
    def by_stream(self) -> bool:
        """Whether it predicts each stream by itself, and so has to see each call of the transformer."""

    @property
    def full(self) -> bool:
        """Whether the step that is due is computed in full."""

    @property
    def recipe(self) -> dict[str, Any] | None:
        """What another process makes the same of, as JSON has it, with its `method`; None where a run without it is the
        same run."""
