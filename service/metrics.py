"""Every metric of the service, in a registry of its own. Labels never carry ids, paths or prompts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from service.account_metrics import AccountCollector
from service.gauges import EvaluationCollector, QueueCollector, StorageCollector
from workers.build import build
from workers.jobs.connection import Connection
from workers.jobs.job import GenerationRequest, Priority
from workers.jobs.store import Store
from workers.models.catalogue import Catalogue

# A client may send any word as its method; each new one would be a new time series.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What is counted as it happens, plus what is read from queue and disk at each scrape."""

    def __init__(self, connection: Connection, catalogue: Catalogue, artifacts: Store) -> None:
        models = list(catalogue.entries)
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "scalingcache_http_requests_total", "HTTP requests.", ["route", "method", "code"], registry=self.registry
        )
        self._durations = Histogram(
            "scalingcache_http_request_duration_seconds",
            "From a request's headers to the last byte of its answer.",
            ["route", "method"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600),
        )
        self._submitted = Counter(
            "scalingcache_jobs_submitted_total", "Jobs accepted.", ["model", "priority"], registry=self.registry
        )
        self._cancelled = Counter(
            "scalingcache_queued_jobs_cancelled_total",
            "Jobs cancelled while no worker had them; the others are in scalingcache_jobs_total.",
            ["model"],
            registry=self.registry,
        )
        self._expired = Counter(
            "scalingcache_queued_jobs_expired_total",
            "Jobs whose deadline was over while no worker had them; the others are in scalingcache_jobs_total.",
            ["model"],
            registry=self.registry,
        )
        self._shared = Counter(
            "scalingcache_jobs_shared_total",
            "Jobs accepted that have the result of an identical one, or will have.",
            ["model"],
            registry=self.registry,
        )
        self._sf = Histogram(
            "scalingcache_sf_requested",
            "The sf of accepted jobs.",
            ["model"],
            registry=self.registry,
            buckets=(2, 4, 6, 8, 10, 12, 14, 20, 30, 50, 100),
        )
        self._streams = Gauge("scalingcache_event_streams", "Event streams that are open.", registry=self.registry)
        self._behind = Counter(
            "scalingcache_event_streams_behind_total",
            "Times that a client of an event stream was too slow: it was told how things stand, not all that happened.",
            registry=self.registry,
        )
        self._build = Info("scalingcache_build", "What is running.", registry=self.registry)
        self._build.info(build("service"))
        self._queue = QueueCollector(connection, models)
        self._storage = StorageCollector(artifacts)
        self._evaluations = EvaluationCollector(catalogue)
        self._accounts = AccountCollector(connection, models)
        for collector in (self._queue, self._storage, self._evaluations, self._accounts):
            self.registry.register(collector)
        for model in models:  # Prometheus sees no increase in a series that begins at 1.
            self._cancelled.labels(model)
            self._expired.labels(model)
            self._shared.labels(model)
            for priority in Priority:
                self._submitted.labels(model, priority.value)

    def request_done(self, route: str, method: str, code: int, seconds: float) -> None:
        """A request to the route of this template was answered with this status, `seconds` after it began."""
        method = method if method in METHODS else "other"
        self._requests.labels(route, method, str(code)).inc()
        self._durations.labels(route, method).observe(seconds)

    def job_submitted(self, request: GenerationRequest, priority: Priority, *, shares: bool) -> None:
        """A new job was accepted. shares: whether it is computed together with an earlier one."""
        if shares:
            self._shared.labels(request.model).inc()
        self._submitted.labels(request.model, priority.value).inc()
        self._sf.labels(request.model).observe(request.sf)

    def queued_job_expired(self, model: str) -> None:
        """The deadline of a job of the model was over before any worker had it."""
        self._expired.labels(model).inc()

    def queued_job_cancelled(self, model: str) -> None:
        """A job of the model was cancelled before any worker had it."""
        self._cancelled.labels(model).inc()

    def streams_open(self, count: int) -> None:
        """So many event streams are open now."""
        self._streams.set(count)

    def stream_behind(self) -> None:
        """A client of a stream lost what had waited for it."""
        self._behind.inc()
