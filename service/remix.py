"""A remix: the settings of a video or an image that has ended, made or not, with another prompt."""

import hashlib
import json
from dataclasses import dataclass

from service.dependencies import Resources
from service.errors import ArtifactGone
from workers.jobs.artifacts import storage_errors
from workers.jobs.errors import JobNotFinished
from workers.jobs.job import GenerationRequest, Job
from workers.jobs.records import UNREADABLE


@dataclass(frozen=True)
class Remix:
    """An order of the same kind as that of its source, with another prompt."""

    source: Job
    prompt: str

    @property
    def priority(self) -> str:
        """The source's."""
        return self.source.priority.value

    @property
    def metadata(self) -> dict[str, str]:
        """The source's."""
        return self.source.metadata

    @property
    def webhook_url(self) -> str | None:
        """The source's."""
        return self.source.webhook_url

    @property
    def deadline_seconds(self) -> None:
        """That of the source was for the source."""

    @property
    def shares(self) -> bool:
        """Its seed is the source's."""
        return True

    @property
    def reuses(self) -> bool:
        """Nobody has said so."""
        return False

    @property
    def remixed_from(self) -> str:
        """The source."""
        return self.source.id

    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal; equal for the same source and prompt."""
        return hashlib.sha256(json.dumps(["remix", self.source.id, self.prompt]).encode()).hexdigest()

    def request(self, resources: Resources) -> GenerationRequest:
        """What is to be generated: all as in the source, seed and measured runs too, so that only the prompt differs.

        Raises `JobNotFinished` while the source goes on or where its record is damaged, `ModelNotFound`, and
        `InvalidRequest` for what its model does not do any more.
        """
        if not self.source.state.terminal:
            raise JobNotFinished(f"{self.source.id} is {self.source.state.value}; a remix is of one that has ended")
        if self.source.error == UNREADABLE:
            raise JobNotFinished(f"{self.source.id}: its record cannot be read; send its request again")
        request, account = self.source.request, self.source.report and self.source.report.account
        runs = account.basis.runs if account and account.basis else request.basis_runs
        request = request.model_copy(update={"prompt": self.prompt, "basis_runs": runs})
        resources.catalogue.check(request)
        return request

    def image(self, resources: Resources) -> bytes | None:
        """The image that the source starts from. Raises `ArtifactGone`, `StorageFailed`."""
        if self.source.request.input_reference is None:
            return None
        with storage_errors("image"):
            try:
                return resources.artifacts.read_reference(self.source.key)
            except FileNotFoundError:
                raise ArtifactGone(f"the image that {self.source.id} starts from is no longer there") from None
