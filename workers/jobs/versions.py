"""What a worker computes with. Two that say the same make the same bytes of the same request."""

from dataclasses import dataclass

from workers.jobs.job import GenerationRequest


@dataclass(frozen=True, slots=True)
class Version:
    """Digests. software: of weights, the model's settings, libraries and device. learnt: of what uncached runs have
    shown, as far as predictions rest on it."""

    software: str
    learnt: str

    def of(self, request: GenerationRequest) -> str:
        """What the result of this request follows from: nothing is predicted where all steps are computed."""
        return f"{self.software}-{self.learnt}" if request.wants_acceleration else self.software


def software_of(version: str, request: GenerationRequest) -> str:
    """The software in what `Version.of` says of the request."""
    return version.rpartition("-")[0] if request.wants_acceleration else version
