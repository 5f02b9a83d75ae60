"""The pages made from the code, and what holds for every metric on them."""

import re

import pytest

from docs.errors_page import CURES, codes
from docs.pages import Described, pages, service_metrics, webhook_metrics, worker_metrics
from tests.deploy.tools import ROOT

DESCRIBED = [*service_metrics(), *worker_metrics(), *webhook_metrics()]
BASE_UNITS = ("_seconds", "_bytes", "_ratio", "_decibels", "_total", "_info")
#: What has no unit: a state, a count of things that are there, an sf.
COUNTS = {
    "scalingcache_queue_up",
    "scalingcache_queue_jobs",
    "scalingcache_redis_persisting",
    "scalingcache_dead_letter_jobs",
    "scalingcache_set_aside_entries",
    "scalingcache_workers",
    "scalingcache_model_load_failed",
    "scalingcache_worker_state",
    "scalingcache_sf_requested",
    "scalingcache_webhook_pending",
    "scalingcache_webhook_attempts_under_way",
    "scalingcache_sf_effective",
    "scalingcache_group_ranks",
    "scalingcache_event_streams",
}
LABELS = {
    "model", "sf", "kind", "state", "stage", "outcome", "reason", "engaged", "decision", "priority",
    "route", "method", "code", "account", "worker", "device", "component", "version", "python", "torch", "diffusers",
    "work", "end", "verdict", "cause",
}  # fmt: skip


def test_every_error_code_has_a_cure_and_no_cure_is_left_over() -> None:
    assert set(CURES) == codes()


@pytest.mark.parametrize("name", pages())
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == pages()[name], "run python -m docs.pages"


@pytest.mark.parametrize("metric", DESCRIBED, ids=lambda metric: metric.name)
def test_a_metric_has_prefix_base_unit_known_labels_and_a_sentence(metric: Described) -> None:
    assert metric.name.startswith("scalingcache_")
    assert metric.name.endswith(BASE_UNITS) or metric.name in COUNTS
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert set(metric.labels) <= LABELS
    assert metric.says.endswith(".")


def test_the_page_says_which_values_each_label_has() -> None:
    used = {label for metric in DESCRIBED if metric.kind != "info" for label in metric.labels}
    explained = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.head.md").read_text(), re.M)
    assert sorted(explained) == sorted(used)


def test_every_metric_but_the_build_has_one_owner() -> None:
    names = [metric.name for metrics in (service_metrics(), worker_metrics(), webhook_metrics()) for metric in metrics]
    assert {name for name in names if names.count(name) > 1} == {"scalingcache_build_info"}
