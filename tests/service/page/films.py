"""A worker without a model whose results can be played."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.service.fake_worker import REPORT, FakeWorker
from workers.jobs.leases import Attempt, Settled
from workers.media.mp4 import write_mp4

FRAMES, WIDTH, HEIGHT = 8, 96, 64


def a_film(path: Path) -> None:
    """A brightening picture."""
    levels = np.linspace(0, 255, FRAMES, dtype=np.uint8)[:, None, None, None]
    write_mp4(path, np.broadcast_to(levels, (FRAMES, HEIGHT, WIDTH, 3)).copy(), fps=8)


@dataclass
class FilmWorker(FakeWorker):
    def complete(self, attempt: Attempt) -> Settled:
        artifact = self.store.publish(attempt.key, self.filename, a_film, self.media_type)
        return self.queue.leases.complete(attempt, artifact, REPORT)
