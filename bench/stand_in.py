"""Workers without a model: they take jobs of a real queue, and have them for times that are known."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from workers.jobs.artifact import Artifact
from workers.jobs.connection import Connection
from workers.jobs.errors import LeaseLost
from workers.jobs.job import GenerationRequest, JobState, RunReport, Stage
from workers.jobs.leases import Attempt, Leases, StepDetails
from workers.jobs.presence import Presence
from workers.models.duration import Pace, Plan, plan_of

ANNOUNCE_SECONDS, BEAT_SECONDS = 5.0, 0.5
ARTIFACT = Artifact(path="none/none/none/video.mp4", media_type="video/mp4", size_bytes=1, sha256="0" * 64)


class StandIn(threading.Thread):
    """One worker. ended: how its jobs did. finished_at: Unix seconds by job. too_late: jobs that it did not start, as
    they could not end in time."""

    def __init__(
        self,
        url: str,
        name: str,
        models: Sequence[str],
        pace: Callable[[GenerationRequest], Pace],
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        """pace: how long the parts of a run take, before noise. noise: of each run and each step, relative."""
        super().__init__(name=name, daemon=True)
        self._connection, self._models, self._pace = Connection(url), tuple(models), pace
        self._noise, self._luck = noise, random.Random(seed)
        self._leases, self._presence = Leases(self._connection, foresight=self), Presence(self._connection)
        self._ends = threading.Event()
        self._announced_at = -ANNOUNCE_SECONDS
        self.ended: Counter[JobState] = Counter()
        self.finished_at: dict[str, float] = {}
        self.too_late: list[str] = []

    def run(self) -> None:
        """Until it is to end."""
        while not self._ends.is_set():
            self._announce()
            attempt = self._leases.claim(self._models, self.name)
            if attempt is None:
                self._leases.wait(self._models, BEAT_SECONDS)
                continue
            try:
                self._compute(attempt)
            except LeaseLost:
                self.ended["lost"] += 1  # type: ignore[index]
        self._presence.leave(self.name)
        self._connection.close()

    def end(self) -> None:
        """With the job that it has."""
        self._ends.set()
        self.join()

    def least_seconds(self, request: GenerationRequest) -> float | None:
        """Of a `workers.jobs.foresight.Foresight`."""
        plan = plan_of(request, "covariance")
        return None if plan is None else self._pace(request).seconds(plan)

    def failed(self, job_id: str) -> None:
        """Of the same."""
        self.too_late.append(job_id)

    def _announce(self) -> None:
        if time.monotonic() - self._announced_at >= ANNOUNCE_SECONDS:
            self._announced_at = time.monotonic()
            self._presence.announce(self.name, self._models, "busy")

    def _compute(self, attempt: Attempt) -> None:
        request = attempt.job.request
        pace, plan = self._pace(request), plan_of(request, "covariance")
        assert plan is not None
        whole = self._luck.gauss(1.0, self._noise)
        timings: dict[Stage, float] = {"encode_prompt": self._sleep(pace.before * whole)}
        decisions, seconds = "", list[float]()
        beat_at = time.monotonic()
        self._leases.beat(attempt, "denoise", 0)
        for letter in _letters(plan):
            seconds.append(self._sleep((pace.full if letter == "F" else pace.predicted) * whole))
            decisions += letter
            if time.monotonic() - beat_at >= BEAT_SECONDS:
                beat_at = time.monotonic()
                self._announce()
                details = StepDetails(decisions, _mean(decisions, seconds, "F"))
                self._leases.beat(attempt, "denoise", len(decisions), details)
        timings |= {"denoise": sum(seconds), "decode": self._sleep(pace.after * whole)}
        settled = self._leases.complete(attempt, ARTIFACT, _report(decisions, seconds, timings))
        self.finished_at[attempt.job.id] = time.time()
        self.ended[settled.state] += 1

    def _sleep(self, seconds: float) -> float:
        began = time.perf_counter()
        time.sleep(max(0.0, seconds * self._luck.gauss(1.0, self._noise)))
        return time.perf_counter() - began


def _letters(plan: Plan) -> str:
    """First steps in full, then full ones spread among the predicted."""
    first = max(2, plan.full // 3)
    rest, steps = plan.full - first, plan.full + plan.cached - first
    return "F" * first + "".join("F" if (i + 1) * rest // steps > i * rest // steps else "P" for i in range(steps))


def _mean(decisions: str, seconds: Sequence[float], letter: str) -> float:
    chosen = [each for each, kind in zip(seconds, decisions, strict=True) if kind == letter]
    return sum(chosen) / len(chosen) if chosen else 0.0


def _report(decisions: str, seconds: Sequence[float], timings: dict[Stage, float]) -> RunReport:
    full, steps = decisions.count("F"), len(decisions)
    return RunReport(
        steps=steps,
        full_steps=full,
        cached_steps=steps - full,
        decisions=decisions,
        engaged=full < steps,
        reason=None,
        speedup_measured=1.0,
        speedup_estimated=steps / full,
        full_step_seconds=_mean(decisions, seconds, "F"),
        predicted_step_seconds=_mean(decisions, seconds, "P") if full < steps else None,
        cache_bytes=0,
        timings=timings,
    )
