"""A worker without a model: it claims from the real queue and publishes a real file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.queues import Queue
from workers.jobs.artifact import Preview
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import JobError, RunReport
from workers.jobs.leases import Attempt, Settled
from workers.jobs.presence import WorkerState
from workers.jobs.versions import Version

MODEL = "wan-test"
VIDEO = bytes(range(256)) * 16

REPORT = RunReport(
    steps=50,
    full_steps=20,
    cached_steps=30,
    decisions="F" * 20 + "P" * 30,
    engaged=True,
    reason=None,
    speedup_measured=2.25,
    speedup_estimated=2.5,
    full_step_seconds=0.2,
    predicted_step_seconds=0.004,
    cache_bytes=1024,
    timings={"encode_prompt": 0.1, "denoise": 4.0, "decode": 0.3, "encode_video": 0.2, "store": 0.01},
)


def _write(path: Path) -> None:
    path.write_bytes(VIDEO)


@dataclass
class FakeWorker:
    queue: Queue
    store: ArtifactStore
    name: str = "worker-1"
    model: str = MODEL
    filename: str = "video.mp4"
    media_type: str = "video/mp4"
    previews: Mapping[Preview, bytes] = field(default_factory=dict)
    version: Version | None = None

    def announce(self, state: WorkerState = "idle") -> None:
        versions = {} if self.version is None else {self.model: self.version}
        self.queue.presence.announce(self.name, [self.model], state, versions=versions)

    def fail_to_load(self, code: str, message: str) -> None:
        problem = JobError(code=code, message=message)
        self.queue.presence.announce(self.name, [], "failed", {self.model: "bfloat16 on cuda"}, problem)

    def claim(self) -> Attempt:
        attempt = self.queue.leases.claim([self.model], self.name)
        assert attempt is not None, "there is no job to claim"
        return attempt

    def complete(self, attempt: Attempt) -> Settled:
        artifact = self.store.publish(attempt.key, self.filename, _write, self.media_type, self.previews)
        version = "" if self.version is None else self.version.of(attempt.job.request)
        return self.queue.leases.complete(attempt, artifact, REPORT, version)

    def fail(self, attempt: Attempt, code: str, message: str, max_attempts: int = 1) -> Settled:
        return self.queue.leases.fail(attempt, JobError(code=code, message=message), max_attempts)

    def run_one(self) -> Settled:
        """Claim the next job, go through its steps and complete it."""
        attempt = self.claim()
        self.queue.leases.beat(attempt, "denoise", attempt.job.request.steps)
        return self.complete(attempt)
