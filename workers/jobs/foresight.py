"""What a worker says at a claim of jobs that have a deadline."""

from typing import Protocol

from pydantic import ValidationError

from workers.jobs.job import GenerationRequest


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
