"""Dashboards and rules name only metrics which the code has, and leave none out without a reason."""

import re

import pytest

from docs.pages import series, service_metrics, webhook_metrics, worker_metrics
from tests.deploy import expressions

DESCRIBED = [*service_metrics(), *worker_metrics(), *webhook_metrics()]


@pytest.mark.parametrize(
    "expression",
    [*expressions.of_panels(), *expressions.of_variables(), *expressions.of_rules()],
    ids=lambda expression: expression.place,
)
def test_an_expression_names_only_metrics_and_labels_that_there_are(expression: expressions.Expression) -> None:
    metrics = {name: metric for metric in DESCRIBED for name in series(metric)}
    assert expression.metrics <= metrics.keys()
    for selector in expression.selectors:
        name, _, matchers = selector.partition("{")
        if name in metrics:
            labels = set(re.findall(r"(\w+)(?:=~|!=|!~|=)", matchers))
            assert labels <= set(metrics[name].labels), selector


def test_no_metric_is_left_out_of_the_dashboards_without_a_reason() -> None:
    shown = set().union(*(expression.metrics for expression in expressions.of_panels()))
    unseen = {metric.name for metric in DESCRIBED if not series(metric) & shown}
    assert unseen == {
        "scalingcache_jobs_submitted_total",  # the queue and the jobs that end say it
        "scalingcache_queued_jobs_cancelled_total",  # of interest to clients only
        "scalingcache_redis_persisting",  # an alert
        "scalingcache_webhook_round_age_seconds",  # the container's health
    }
