"""What a worker says at a claim of jobs that have a deadline."""

from typing import Protocol

from pydantic import ValidationError

from workers.jobs.job import GenerationRequest

#: Of what such runs took at least: one that may just make it is tried.
FASTEST = 0.8


def may_end(least_seconds: float | None, seconds_left: float) -> bool:
    """Whether a run is tried that has so long until its deadline; `claim.lua` decides the same. least_seconds: as of a
    `Foresight`."""
    return least_seconds is None or least_seconds * FASTEST <= seconds_left


class Foresight(Protocol):
    """Knows how long jobs take, by what was measured."""

    def least_seconds(self, request: GenerationRequest) -> float | None:
        """What a run takes at least; None where that is not known. Raises `QueueUnavailable`."""

    def failed(self, job_id: str) -> None:
        """A job has failed, since it could not end before its deadline."""


def least_seconds(foresight: Foresight, request: str) -> float | str:
    """Of a request in its record; nothing where it cannot be read, which whoever claims it finds out."""
    try:
        seconds = foresight.least_seconds(GenerationRequest.model_validate_json(request))
    except ValidationError:
        return ""
    return "" if seconds is None else seconds
