"""Every metric of the process that sends webhooks, in a registry of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server

from workers.build import build
from workers.configuration import ConfigurationError, variable

OUTCOMES = ("delivered", "retried", "failed", "lost")


class WebhookMetrics:
    """What is counted as it happens. What is still to be delivered, the service tells (`service/gauges.py`)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock, self._last_round = clock, clock()
        self._attempts = Counter(
            "scalingcache_webhook_attempts_total",
            "Attempts at a delivery.",
            ["outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "scalingcache_webhook_attempt_seconds",
            "From the name of a receiver to its answer, or to the end of our patience.",
            registry=self.registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
        )
        self._under_way = Gauge(
            "scalingcache_webhook_attempts_under_way", "Attempts at this moment.", registry=self.registry
        )
        self._age = Gauge(
            "scalingcache_webhook_round_age_seconds",
            "Since the sender last looked for messages; it does so twice a second while Redis answers.",
            registry=self.registry,
        )
        self._age.set_function(lambda: self._clock() - self._last_round)
        self._build = Info("scalingcache_build", "What is running.", registry=self.registry)
        self._build.info(build("webhooks"))
        for outcome in OUTCOMES:  # Prometheus sees no increase in a series that begins at 1.
            self._attempts.labels(outcome)

    def attempted(self, outcome: str, seconds: float) -> None:
        """An attempt ended, one of `OUTCOMES`, so long after it began."""
        self._attempts.labels(outcome).inc()
        self._seconds.observe(seconds)

    def round_done(self, under_way: int) -> None:
        """The sender has looked for messages, and has so many under way."""
        self._last_round = self._clock()
        self._under_way.set(under_way)

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[int]:
        """Serve them while the block runs; gives the port. Raises `ConfigurationError`."""
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            names = f"{variable('webhook_metrics_host')}, {variable('webhook_metrics_port')}"
            raise ConfigurationError(f"{names}: cannot listen on {host}:{port}: {error.strerror}") from error
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
