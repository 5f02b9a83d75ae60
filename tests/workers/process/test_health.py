"""`python -m workers health`, on the metrics that a worker serves."""

import pytest

from workers.jobs.presence import WorkerState
from workers.process.health import WorkerUnhealthy, check
from workers.process.metrics import Metrics


@pytest.mark.parametrize("state", ["idle", "busy", "draining"])
def test_a_worker_with_loaded_models_is_well(state: WorkerState) -> None:
    metrics = Metrics()
    metrics.set_state(state)
    with metrics.serve("127.0.0.1", 0) as port:
        assert check("0.0.0.0", port) == state


def test_a_worker_that_loads_is_not_well_yet() -> None:
    metrics = Metrics()
    metrics.set_state("loading")
    with metrics.serve("127.0.0.1", 0) as port, pytest.raises(WorkerUnhealthy, match="the worker is loading"):
        check("127.0.0.1", port)


def test_a_worker_that_failed_says_where_the_reason_is() -> None:
    metrics = Metrics()
    metrics.set_state("failed")
    with (
        metrics.serve("127.0.0.1", 0) as port,
        pytest.raises(WorkerUnhealthy, match="cannot take jobs; its log"),
    ):
        check("127.0.0.1", port)


def test_a_worker_that_is_gone_is_not_well() -> None:
    with Metrics().serve("127.0.0.1", 0) as port:
        pass
    with pytest.raises(WorkerUnhealthy, match="does not answer"):
        check("127.0.0.1", port)


def test_without_a_port_there_is_nothing_to_ask() -> None:
    with pytest.raises(WorkerUnhealthy, match="SCALINGCACHE_METRICS_PORT"):
        check("127.0.0.1", None)
