"""Dashboards and alerts against a real Prometheus that has watched real jobs."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from demo.embedded_redis import EmbeddedRedis, RedisBinary
from tests.deploy import expressions
from tests.deploy.expressions import Expression
from tests.deploy.observed import CALIBRATED, PLAIN, Prometheus, observed, write_catalogue
from tests.workers.micro_wan import save_micro_wan
from workers.__main__ import app

pytestmark = pytest.mark.slow
#: What has nothing to show here, and why. The start of a place, a panel's or a rule's.
EMPTY = {
    "ScalingCache: Workers / Device memory": "there is no NVIDIA device",
    "ScalingCache: Workers / Device utilisation": "there is no NVIDIA device",
    "scalingcache:speedup_ratio:mean30m": "needs three jobs of one sf",
    "scalingcache:shadow_psnr_decibels:mean1d": "needs three shadows of one sf",
    "ScalingCache: Speed knob / PSNR of delivered results / B": "there is no evaluation",
    "ScalingCache: Overview / Time of an attempt": "no webhook is sent",
    "AccelerationNotEngaging": "needs three jobs that asked for it",
    "ScalingCache: Workers / Several GPUs for one job": "the worker is one process",
    "ScalingCache: Workers / Waiting for each other": "the worker is one process",
    **dict.fromkeys(
        (
            "ServiceDown", "RedisUnreachable", "RedisNotPersisting", "NoLiveWorker", "QueueAge", "FailureRate",
            "LeaseLosses", "DeadLetters", "SpeedupBelowUsual", "FidelityDrift", "WebhooksOverdue",
        ),
        "nothing is wrong",
    ),
}  # fmt: skip
STORAGE_LEFT = "min(scalingcache_storage_free_bytes / scalingcache_storage_size_bytes)"
#: Series that alerts read and that are not there while all is well.
QUIET = {
    "scalingcache:speedup_ratio:mean30m": "needs three jobs of one sf",
    "scalingcache:shadow_psnr_decibels:mean1d": "needs three shadows of one sf",
    "scalingcache_evaluated_psnr_decibels": "there is no evaluation",
    'scalingcache_workers{state="loading"}': "the worker has loaded its models",
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, redis_binary: RedisBinary) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("observed")
    save_micro_wan(folder / "checkpoint")
    catalogue = write_catalogue(folder, folder / "checkpoint")
    (folder / "prompts.txt").write_text("red circle\ncircle\n")
    calibrated = CliRunner().invoke(
        app,
        [
            "calibrate", "--model", CALIBRATED, "--prompts", str(folder / "prompts.txt"), "--seeds", "2",
            "--catalogue", str(catalogue), "--work", str(folder / "work"), "--threads", "1",
        ],
        catch_exceptions=False,
    )  # fmt: skip
    assert calibrated.exit_code == 0, calibrated.output
    with EmbeddedRedis(binary=redis_binary.path) as redis, observed(folder, redis.url, catalogue) as prometheus:
        yield prometheus


ALL = [*expressions.of_panels(), *expressions.of_variables(), *expressions.of_rules()]


@pytest.mark.parametrize("expression", ALL, ids=lambda expression: expression.place)
def test_an_expression_returns_data_or_is_known_to_have_none(watched: Prometheus, expression: Expression) -> None:
    samples = [sample for sample in watched.query(expression.text) if sample["value"][1] != "NaN"]
    reasons = [reason for place, reason in EMPTY.items() if expression.place.startswith(place)]
    if expression.place == "StorageNearlyFull" and float(watched.query(STORAGE_LEFT)[0]["value"][1]) >= 0.1:
        reasons = ["this machine's disk is not nearly full"]
    assert bool(samples) != bool(reasons), f"{expression.text}\n{samples}"


@pytest.mark.parametrize("rule", expressions.of_rules(), ids=lambda rule: rule.place)
def test_what_a_quiet_alert_reads_is_there(watched: Prometheus, rule: Expression) -> None:
    missing = [selector for selector in sorted(rule.selectors) if not watched.query(selector)]
    assert [selector for selector in missing if selector not in QUIET] == []


def test_the_counts_are_those_of_the_jobs_that_ran(watched: Prometheus) -> None:
    jobs = {
        (sample["metric"]["model"], sample["metric"]["outcome"]): float(sample["value"][1])
        for sample in watched.query("sum by (model, outcome) (scalingcache_jobs_total) > 0")
    }
    assert jobs == {
        (CALIBRATED, "completed"): 8,
        (CALIBRATED, "failed"): 2,
        (PLAIN, "completed"): 2,
        (PLAIN, "cancelled"): 2,
    }
    assert watched.value("sum(scalingcache_queued_jobs_cancelled_total)") == 2
    assert watched.value("sum(scalingcache_jobs_submitted_total)") == 14  # The two that fail came past the service.
    assert watched.value('sum(scalingcache_acceleration_total{engaged="true"})') == 6
    assert watched.value('sum(scalingcache_acceleration_total{reason="not_requested"})') == 2
    assert watched.value('sum(scalingcache_acceleration_total{reason="not_calibrated"})') == 2


def test_each_accelerated_job_was_compared_by_an_idle_worker(watched: Prometheus) -> None:
    compared = {
        sample["metric"]["sf"]: float(sample["value"][1])
        for sample in watched.query(f'sum by (sf) (scalingcache_shadow_ssim_ratio_count{{model="{CALIBRATED}"}})')
    }
    assert compared == {"3": 2, "4": 2, "6": 2}
    unneeded = f'scalingcache_observed_runs_total{{model="{CALIBRATED}",verdict="not_needed"}}'
    assert watched.value(unneeded) == 8, "six shadows and two uncached jobs, of 12 steps each"


def test_time_is_saved_where_steps_were_predicted(watched: Prometheus) -> None:
    assert watched.value(f'scalingcache_device_seconds_saved_total{{model="{CALIBRATED}"}}') > 0
    assert watched.query(f'scalingcache_device_seconds_saved_total{{model="{PLAIN}"}} == 0')
