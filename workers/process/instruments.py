"""What metrics are made of: a registry of their own, and its HTTP server."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from workers.configuration import ConfigurationError, variable


class Instruments:
    """Makes metrics and serves them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    @contextmanager
    def serve(self, host: str, port: int) -> Iterator[int]:
        """Serve the metrics over HTTP from a thread of its own; gives the port, picked when `port` is 0.

        Raises `ConfigurationError` where nobody can listen there.
        """
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            names = f"{variable('metrics_host')}, {variable('metrics_port')}"
            raise ConfigurationError(f"{names}: cannot listen on {host}:{port}: {error.strerror}") from error
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(name, says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, says, labels, buckets=buckets, registry=self.registry)
