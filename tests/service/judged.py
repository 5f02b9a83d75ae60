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


def write_telling_mp4(
    path: Path, level: int = 0, frames: int = 4, width: int = 32, height: int = 32, fps: int = 8
) -> None:
    """A picture that moves, under noise that grows with the level; with a description."""
    noise = np.random.default_rng(level)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart+use_metadata_tags"}) as container:
        container.metadata.update({"comment": TELLTALE, "scalingcache": TELLTALE})
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "10", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            wave = 128 + 80 * np.sin((np.arange(width) + 2 * index) / 6)
            picture = np.broadcast_to(wave[None, :, None], (height, width, 3))
            noisy = picture + noise.normal(0, 6 * level, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_telling_png(path: Path, level: int = 0) -> None:
    text = PngInfo()
    text.add_text("parameters", TELLTALE)
    text.add_itxt("more", TELLTALE)
    Image.new("RGB", (16, 16), (60 + 9 * level, 2, 3)).save(path, "png", pnginfo=text)


def report_of(job: Job) -> RunReport:
    """Of a run that did what was asked."""
    steps, uncached = job.request.steps, job.request.sf >= job.request.steps
    full = steps if uncached else job.request.full_steps or 2 * job.request.sf
    letters = "F" * full + "P" * (steps - full)
    counts = {"steps": steps, "full_steps": full, "cached_steps": steps - full, "decisions": letters}
    return REPORT.model_copy(update={**counts, "engaged": not uncached})


@dataclass
class Judged:
    """Makes results by the worker."""

    worker: FakeWorker

    def finish_all(self, count: int) -> None:
        """Complete as many jobs as wait, each a little further from the first."""
        for level in range(count):
            self.finish(level)

    def finish(self, level: int = 0) -> None:
        """Complete the next job."""
        attempt = self.worker.claim()
        request = attempt.job.request

        def write(path: Path) -> None:
            if self.worker.media_type == "image/png":
                write_telling_png(path, level)
            else:
                write_telling_mp4(path, level, request.frames, request.width, request.height, request.fps)

        artifact = self.worker.store.publish(attempt.key, self.worker.filename, write, self.worker.media_type)
        self.worker.queue.leases.complete(attempt, artifact, report_of(attempt.job))
