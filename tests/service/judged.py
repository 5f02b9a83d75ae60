"""Results that can be compared: real files that say of themselves how they were made, and reports that fit."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.service.fake_worker import REPORT, FakeWorker
from workers.jobs.job import Job, RunReport

#: Stands in each file's own description, and nowhere else.
TELLTALE = "sf=10 of 50"


def write_telling_mp4(path: Path, level: int = 0) -> None:
    """Four grey frames with a description."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart+use_metadata_tags"}) as container:
        container.metadata.update({"comment": TELLTALE, "scalingcache": TELLTALE})
        stream = container.add_stream("libx264", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * level % 256, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_telling_png(path: Path) -> None:
    text = PngInfo()
    text.add_text("parameters", TELLTALE)
    text.add_itxt("more", TELLTALE)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(path, "png", pnginfo=text)


def report_of(job: Job) -> RunReport:
    """Of a run that did what was asked."""
    steps, uncached = job.request.steps, job.request.sf >= job.request.steps
    full = steps if uncached else job.request.full_steps or 20
    letters = "F" * full + "P" * (steps - full)
    counts = {"steps": steps, "full_steps": full, "cached_steps": steps - full, "decisions": letters}
    return REPORT.model_copy(update={**counts, "engaged": not uncached})


@dataclass
class Judged:
    """Makes results by the worker."""

    worker: FakeWorker

    def finish_all(self, count: int) -> None:
        """Complete as many jobs as wait."""
        png = self.worker.media_type == "image/png"
        for level in range(count):
            attempt = self.worker.claim()

            def write(path: Path, level: int = level) -> None:
                write_telling_png(path) if png else write_telling_mp4(path, level)

            artifact = self.worker.store.publish(attempt.key, self.worker.filename, write, self.worker.media_type)
            self.worker.queue.leases.complete(attempt, artifact, report_of(attempt.job))
