"""What the endpoints work with, built once by the application and handed to each of them."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from anyio import CapacityLimiter
from fastapi import Depends, Request

from service.gauges import TAKES_JOBS
from service.metrics import Metrics
from service.settings import Settings
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.queue import JobQueue
from workers.models.catalogue import Catalogue

DECODERS = 2  # at a time: the memory for more is not there


@dataclass(frozen=True)
class Parts:
    """`served_since` is when the catalogue was last written, in Unix seconds; `clock` tells Unix seconds.

    decoders: limits the images that are decoded at a time, which may take some hundred MB each.
    """

    catalogue: Catalogue
    served_since: int
    queue: JobQueue
    artifacts: ArtifactStore
    artifacts_root: Path
    metrics: Metrics
    clock: Callable[[], float] = time.time
    decoders: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(DECODERS))

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Raises `CatalogueError`. Redis need not be there yet."""
        catalogue = settings.read_catalogue()
        queue = JobQueue(settings.redis_address, retention_seconds=settings.retention_seconds)
        return cls(
            catalogue=catalogue,
            served_since=int(settings.catalogue.stat().st_mtime),
            queue=queue,
            artifacts=ArtifactStore(settings.artifacts),
            artifacts_root=settings.artifacts,
            metrics=Metrics(queue, list(catalogue.entries), settings.artifacts),
        )

    def serving(self) -> Counter[str]:
        """How many live workers take jobs of each model. Raises `QueueUnavailable`."""
        return Counter(
            model for worker in self.queue.workers() if worker.state in TAKES_JOBS for model in worker.models
        )


def _parts(request: Request) -> Parts:
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def _tenant() -> str:
    """Whose request this is. Without accounts there is one tenant."""
    return "default"


Service = Annotated[Parts, Depends(_parts)]
Tenant = Annotated[str, Depends(_tenant)]
