"""Every metric of the service, in a registry of its own. Labels never carry ids, paths or prompts."""

from collections import Counter as Tally
from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workers.jobs.errors import QueueUnavailable
from workers.jobs.job import GenerationRequest, Priority
from workers.jobs.queue import JobQueue

# A client may send any word as its method; each new one would be a new time series.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What is counted as it happens, plus what is read from the queue at each scrape."""

    def __init__(self, queue: JobQueue, models: list[str]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "scalingcache_http_requests_total", "HTTP requests.", ["route", "method", "code"], registry=self.registry
        )
        self._durations = Histogram(
            "scalingcache_http_request_duration_seconds",
            "From a request's headers to the last byte of its answer.",
            ["route", "method"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )
        self._submitted = Counter(
            "scalingcache_jobs_submitted_total", "Jobs accepted.", ["model", "priority"], registry=self.registry
        )
        self._sf = Histogram(
            "scalingcache_sf_requested",
            "The sf of accepted jobs.",
            ["model"],
            registry=self.registry,
            buckets=(2, 4, 6, 8, 10, 12, 14, 20, 30, 50, 100),
        )
        build = Info("scalingcache_build", "What is running.", registry=self.registry)
        build.info({"version": version("scalingcache-serve")})
        self.registry.register(QueueCollector(queue, models))

    def request_done(self, route: str, method: str, code: int, seconds: float) -> None:
        known = method if method in METHODS else "other"
        self._requests.labels(route, known, str(code)).inc()
        self._durations.labels(route, known).observe(seconds)

    def job_submitted(self, request: GenerationRequest, priority: Priority) -> None:
        self._submitted.labels(request.model, priority.value).inc()
        self._sf.labels(request.model).observe(request.sf)


class QueueCollector(Collector):
    """Reads the queue when it is scraped; without Redis it says so and leaves the rest out."""

    def __init__(self, queue: JobQueue, models: list[str]) -> None:
        self._queue = queue
        self._models = models

    def describe(self) -> Iterable[Metric]:
        return []  # so that registering does not read the queue

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("scalingcache_queue_up", "1 when Redis answered this scrape.")
        try:
            families = [*self._jobs(), self._workers()]
        except QueueUnavailable:
            families = []
        up.add_metric([], float(bool(families)))
        return [up, *families]

    def _jobs(self) -> list[Metric]:
        jobs = GaugeMetricFamily("scalingcache_queue_jobs", "Jobs that wait or run.", labels=["model", "state"])
        oldest = GaugeMetricFamily(
            "scalingcache_queue_oldest_age_seconds", "Age of the job that waits longest; 0 when none.", labels=["model"]
        )
        for model in self._models:
            depth = self._queue.depth(model)
            jobs.add_metric([model, "queued"], depth.queued)
            jobs.add_metric([model, "running"], depth.running)
            oldest.add_metric([model], depth.oldest_seconds or 0.0)
        return [jobs, oldest]

    def _workers(self) -> Metric:
        family = GaugeMetricFamily("scalingcache_workers", "Live workers of a model.", labels=["model", "state"])
        tally = Tally((model, worker.state) for worker in self._queue.workers() for model in worker.models)
        for (model, state), count in sorted(tally.items()):
            family.add_metric([model, state], count)
        return family
