"""Prometheus as the compose file starts it, with a service and a worker that have nothing to do yet."""

from pathlib import Path

import httpx

from service.settings import Settings
from service.webhook_metrics import WebhookMetrics
from tests.deploy.observed import prometheus
from tests.deploy.tools import ROOT
from tests.service.serving import served
from tests.waiting import wait_until
from workers.process.metrics import Metrics


def test_it_becomes_healthy_scrapes_all_and_has_no_trouble_with_a_rule(tmp_path: Path, redis_url: str) -> None:
    settings = Settings(
        redis_url=redis_url, artifacts=tmp_path, catalogue=ROOT / "models.toml", port=0, authentication="none"
    )
    with (
        served(settings) as service,
        Metrics(["wan-tiny"]).serve("127.0.0.1", 0) as port,
        WebhookMetrics().served("127.0.0.1", 0) as webhooks,
    ):
        targets = {
            "service:8000": service.address.removeprefix("http://"),
            "webhooks:9200": f"127.0.0.1:{webhooks}",
            "worker:9100": f"127.0.0.1:{port}",
        }
        with prometheus(tmp_path, targets) as watcher:
            wait_until(lambda: watcher.value("count(up == 1)") == 3, awaited="all are scraped")
            assert {sample["metric"]["job"] for sample in watcher.query("up")} == {"service", "webhooks", "worker"}
            groups = wait_until(lambda: evaluated(watcher.url), seconds=90, awaited="all rules are evaluated")
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"] == []


def evaluated(url: str) -> list[dict[str, list[dict[str, str]]]] | None:
    """The rule groups, once each rule has been evaluated."""
    groups = httpx.get(f"{url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    return (
        groups if groups and all(rule["health"] != "unknown" for group in groups for rule in group["rules"]) else None
    )
