"""Whether a worker can work, asked of its metrics from the same host."""

import http.client
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from workers.jobs.presence import TAKES_JOBS

HEALTHY = TAKES_JOBS | {"draining"}
TIMEOUT_SECONDS = 3.0


class WorkerUnhealthy(Exception):
    """The worker cannot work; the message says why. Never leaves the command."""


def reachable(host: str) -> str:
    """An address at which a process that listens on `host` answers this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)


def check(host: str, port: int | None) -> str:
    """The worker's state, when it can work. Raises `WorkerUnhealthy`."""
    if not port:
        raise WorkerUnhealthy("a health check needs SCALINGCACHE_METRICS_PORT")
    try:
        with urllib.request.urlopen(f"http://{reachable(host)}:{port}/metrics", timeout=TIMEOUT_SECONDS) as answer:
            text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise WorkerUnhealthy(f"the worker does not answer: {error}") from error
    state = next(
        (
            sample.labels["state"]
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "scalingcache_worker_state" and sample.value == 1
        ),
        "unknown",
    )
    if state == "failed":
        raise WorkerUnhealthy("the worker cannot take jobs; its log and `python -m service status` say why")
    if state not in HEALTHY:
        raise WorkerUnhealthy(f"the worker is {state}")
    return state
