"""Every metric of a worker, in a registry of its own. Labels never carry ids, paths or prompts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from workers.jobs.events import StepDone
from workers.jobs.job import GenerationRequest, RunReport
from workers.jobs.presence import WorkerState

#: How an attempt ended: `released` at shutdown, `lost` to another worker, `retried` after an error.
Outcome = Literal["completed", "failed", "cancelled", "released", "lost", "retried", "dead"]

_WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600)
_JOB_BUCKETS = (0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 450, 600, 900, 1200, 1800, 2700, 3600)
_STAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)
_STEP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)
_LOAD_BUCKETS = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200)
_RATIO_BUCKETS = tuple(n / 20 for n in range(21))
_SPEEDUP_BUCKETS = (0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.5, 4, 5, 6, 8, 10)


class Metrics:
    """What a worker counts. Lives in the supervisor process, so that it outlives a crash of the model's process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._jobs = Counter(
            "scalingcache_jobs_total", "Attempts that ended, by how.", ["model", "outcome"], registry=registry
        )
        self._wait = Histogram(
            "scalingcache_job_wait_seconds",
            "From a job's acceptance to its first start.",
            ["model"],
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self._duration = Histogram(
            "scalingcache_job_duration_seconds",
            "From a job's acceptance to its end.",
            ["model", "outcome"],
            buckets=_JOB_BUCKETS,
            registry=registry,
        )
        self._stages = Histogram(
            "scalingcache_stage_seconds",
            "Time in each stage of a completed job.",
            ["model", "stage"],
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self._steps = Counter(
            "scalingcache_steps_total",
            "Denoising steps, computed in full or predicted.",
            ["model", "kind"],
            registry=registry,
        )
        self._step_seconds = Histogram(
            "scalingcache_step_seconds",
            "Time of a denoising step.",
            ["model", "kind"],
            buckets=_STEP_BUCKETS,
            registry=registry,
        )
        self._cached_ratio = Histogram(
            "scalingcache_cached_ratio",
            "Predicted steps over all steps of a completed job.",
            ["model", "sf"],
            buckets=_RATIO_BUCKETS,
            registry=registry,
        )
        self._speedup = Histogram(
            "scalingcache_speedup_ratio",
            "Denoising without over with acceleration: measured in the job, and estimated from its steps.",
            ["model", "sf", "kind"],
            buckets=_SPEEDUP_BUCKETS,
            registry=registry,
        )
        self._acceleration = Counter(
            "scalingcache_acceleration_total",
            "Completed jobs, by whether acceleration engaged.",
            ["model", "engaged"],
            registry=registry,
        )
        self._cache_bytes = Gauge(
            "scalingcache_cache_bytes", "Memory of the cache in the last job.", ["model"], registry=registry
        )
        self._load = Histogram(
            "scalingcache_model_load_seconds",
            "Time to load the models of a worker.",
            ["model"],
            buckets=_LOAD_BUCKETS,
            registry=registry,
        )
        self._state = Gauge(
            "scalingcache_worker_state", "1 for the state that the worker is in.", ["state"], registry=registry
        )

    @contextmanager
    def serve(self, host: str, port: int) -> Iterator[int]:
        """Serve the metrics over HTTP from a thread of its own; gives the port, picked when `port` is 0."""
        server, thread = start_http_server(port, host, self.registry)
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def started(self, model: str, waited_seconds: float) -> None:
        self._wait.labels(model).observe(waited_seconds)

    def ended(self, model: str, outcome: Outcome, total_seconds: float | None = None) -> None:
        """An attempt ended; with `total_seconds` since its creation when the job did, too."""
        self._jobs.labels(model, outcome).inc()
        if total_seconds is not None:
            self._duration.labels(model, outcome).observe(total_seconds)

    def stepped(self, model: str, step: StepDone) -> None:
        self._steps.labels(model, step.kind).inc()
        self._step_seconds.labels(model, step.kind).observe(step.seconds)

    def completed(self, request: GenerationRequest, report: RunReport) -> None:
        """What a job's run was like."""
        model, sf = request.model, str(request.sf)
        for stage, seconds in report.timings.items():
            self._stages.labels(model, stage).observe(seconds)
        self._cached_ratio.labels(model, sf).observe(report.cached_steps / report.steps)
        self._speedup.labels(model, sf, "measured").observe(report.speedup_measured)
        self._speedup.labels(model, sf, "estimated").observe(report.speedup_estimated)
        self._acceleration.labels(model, str(report.engaged).lower()).inc()
        self._cache_bytes.labels(model).set(report.cache_bytes)

    def loaded(self, models: tuple[str, ...], seconds: float) -> None:
        for model in models:
            self._load.labels(model).observe(seconds)

    def state(self, current: WorkerState) -> None:
        for state in get_args(WorkerState):
            self._state.labels(state).set(state == current)
