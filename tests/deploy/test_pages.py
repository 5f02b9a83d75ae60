"""The pages made from the code, and that dashboards and rules name only metrics which the code has."""

import re

import pytest

from deploy.pages import Described, pages, series, service_metrics, worker_metrics
from tests.deploy import expressions
from tests.deploy.tools import ROOT

DESCRIBED = [*service_metrics(), *worker_metrics()]
BASE_UNITS = ("_seconds", "_bytes", "_ratio", "_total", "_info")
#: What has no unit: a state, a count of things that are there, an sf.
COUNTS = {
    "scalingcache_queue_up",
    "scalingcache_queue_jobs",
    "scalingcache_redis_persisting",
    "scalingcache_dead_letter_jobs",
    "scalingcache_workers",
    "scalingcache_worker_state",
    "scalingcache_sf_requested",
    "scalingcache_sf_effective",
}
LABELS = {
    "model", "sf", "kind", "state", "stage", "outcome", "reason", "engaged", "decision", "priority",
    "route", "method", "code", "worker", "device", "component", "version", "python", "torch", "diffusers",
}  # fmt: skip


@pytest.mark.parametrize("name", pages())
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == pages()[name], "run python -m deploy.pages"


@pytest.mark.parametrize("metric", DESCRIBED, ids=lambda metric: metric.name)
def test_a_metric_has_prefix_base_unit_known_labels_and_a_sentence(metric: Described) -> None:
    assert metric.name.startswith("scalingcache_")
    assert metric.name.endswith(BASE_UNITS) or metric.name in COUNTS
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert set(metric.labels) <= LABELS
    assert metric.says.endswith(".")


def test_the_page_says_which_values_each_label_has() -> None:
    used = {label for metric in DESCRIBED if metric.kind != "info" for label in metric.labels}
    explained = re.findall(r"^\| `(\w+)` \|", (ROOT / "deploy" / "metrics.head.md").read_text(), re.M)
    assert sorted(explained) == sorted(used)


def test_every_metric_but_the_build_has_one_owner() -> None:
    both = {metric.name for metric in service_metrics()} & {metric.name for metric in worker_metrics()}
    assert both == {"scalingcache_build_info"}


@pytest.mark.parametrize(
    "expression",
    [*expressions.of_panels(), *expressions.of_variables(), *expressions.of_rules()],
    ids=lambda expression: expression.place,
)
def test_an_expression_names_only_metrics_and_labels_that_there_are(expression: expressions.Expression) -> None:
    known = {name: metric for metric in DESCRIBED for name in series(metric)}
    assert expression.metrics <= known.keys()
    for selector in expression.selectors:
        name, _, matchers = selector.partition("{")
        if name in known:
            labels = set(re.findall(r"(\w+)(?:=~|!=|!~|=)", matchers))
            assert labels <= set(known[name].labels), selector


def test_no_metric_is_left_out_of_the_dashboards_without_a_reason() -> None:
    shown = set().union(*(expression.metrics for expression in expressions.of_panels()))
    unseen = {metric.name for metric in DESCRIBED if not series(metric) & shown}
    assert unseen == {
        "scalingcache_jobs_submitted_total",  # the queue and the jobs that end say it
        "scalingcache_queued_jobs_cancelled_total",  # of interest to clients only
        "scalingcache_redis_persisting",  # an alert
    }
