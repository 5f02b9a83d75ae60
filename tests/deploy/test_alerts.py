"""The alert rules: they load, they fire when they should and only then, and each says what to do."""

import re
import subprocess

import pytest
import yaml

from tests.deploy.tools import ROOT, program
from workers.jobs.job import ReasonCode
from workers.process.metrics import FINAL, RETRIED

FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
ALERTS = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")],
    ids=" ".join,
)
def test_promtool_accepts_configuration_rules_and_their_tests(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([program("promtool"), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_has_an_entry_in_the_runbook_and_a_test(alert: dict[str, dict[str, str]]) -> None:
    name = str(alert["alert"])
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
    entry = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", RUNBOOK, re.S | re.M)
    assert entry is not None
    for part in ("**Means.**", "**Look at.**", "**Do.**"):
        assert part in entry[1]
    tests = (FOLDER / "rules.test.yml").read_text()
    assert re.search(rf"alertname: {name}\n +exp_alerts:", tests), "no test in which it fires"


def test_the_runbook_says_what_to_do_for_every_reason_to_run_uncached() -> None:
    uncached = {code.value for code in ReasonCode if not code.accelerated}
    assert reasons("AccelerationNotEngaging") == uncached - {"not_requested"}


def test_the_runbook_says_what_to_do_for_every_reason_to_fail() -> None:
    assert reasons("FailureRate") == (FINAL | RETRIED) - {"invalid_request"}  # which is the client's


def reasons(alert: str) -> set[str]:
    """Those in the table of an alert's entry."""
    entry = RUNBOOK.split(f"## {alert}\n")[1].split("\n## ")[0]
    return {reason for row in re.findall(r"^\| (`.+?`) \|", entry, re.M) for reason in re.findall(r"`(\w+)`", row)}


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    entries = re.findall(r"^## (\w+)$", RUNBOOK, re.M)
    assert entries == [alert["alert"] for alert in ALERTS]
