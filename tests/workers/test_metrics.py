import urllib.request

import pytest

from tests.workers.factories import MODEL, a_report, a_request
from workers.jobs.events import StepDone
from workers.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_a_completed_job_is_counted_with_its_speedup(metrics: Metrics) -> None:
    metrics.started(MODEL, 0.004)
    metrics.completed(a_request(sf=10), a_report(steps=50, full_steps=20))
    metrics.ended(MODEL, "completed", 12.5)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"scalingcache_{name}", {"model": MODEL, **labels})

    assert value("jobs_total", outcome="completed") == 1
    assert value("job_wait_seconds_count") == 1
    assert value("job_duration_seconds_sum", outcome="completed") == 12.5
    assert value("stage_seconds_sum", stage="denoise") == 4.0
    assert value("cached_ratio_sum", sf="10") == pytest.approx(0.6)
    assert value("speedup_ratio_sum", sf="10", kind="measured") == 2.4
    assert value("speedup_ratio_sum", sf="10", kind="estimated") == 2.5
    assert value("acceleration_total", engaged="true") == 1
    assert value("cache_bytes") == 1024


def test_an_attempt_that_goes_on_elsewhere_has_no_duration(metrics: Metrics) -> None:
    metrics.ended(MODEL, "retried")
    labels = {"model": MODEL, "outcome": "retried"}
    assert metrics.registry.get_sample_value("scalingcache_jobs_total", labels) == 1
    assert metrics.registry.get_sample_value("scalingcache_job_duration_seconds_count", labels) is None


def test_steps_are_counted_by_kind(metrics: Metrics) -> None:
    metrics.stepped(MODEL, StepDone(0, "full", 0.2))
    metrics.stepped(MODEL, StepDone(1, "predicted", 0.002))
    labels = {"model": MODEL, "kind": "predicted"}
    assert metrics.registry.get_sample_value("scalingcache_steps_total", labels) == 1
    assert metrics.registry.get_sample_value("scalingcache_step_seconds_sum", labels) == 0.002


def test_the_worker_is_in_one_state(metrics: Metrics) -> None:
    metrics.state("loading")
    metrics.state("idle")
    states = {
        state: metrics.registry.get_sample_value("scalingcache_worker_state", {"state": state})
        for state in ("loading", "idle", "busy", "draining")
    }
    assert states == {"loading": 0, "idle": 1, "busy": 0, "draining": 0}


def test_they_are_served_over_http_without_ids_or_prompts(metrics: Metrics) -> None:
    metrics.completed(a_request("a secret"), a_report())
    with metrics.serve("127.0.0.1", 0) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert 'scalingcache_speedup_ratio_count{kind="measured"' in text
    assert "a secret" not in text
    assert all(line.startswith(("#", "scalingcache_")) for line in text.splitlines())
