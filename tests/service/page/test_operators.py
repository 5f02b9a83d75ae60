"""The views of models and queue, in a browser."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from service.accounts import Scope
from service.settings import Settings
from tests.queues import Queue
from tests.service.accounts import a_key, with_keys
from tests.service.fake_worker import FakeWorker
from tests.service.page.looks import is_wider_than_a_phone, violations
from tests.service.serving import served
from tests.workers.factories import a_request, submit

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, settings: Settings) -> Settings:
    """The catalogue that ships, with its evaluations."""
    return settings.model_copy(update={"catalogue": ROOT / "models.toml", "models": ("wan-tiny", "flux-tiny")})


def test_models_show_what_their_evaluation_found(page: Page, address: str) -> None:
    page.goto(f"{address}/#models")
    expect(page.get_by_role("heading", name="wan-tiny")).to_contain_text("no live worker")
    evaluation = json.loads((ROOT / "alphas" / "wan-tiny.evaluation.json").read_text())
    rows = page.get_by_role("region", name="Speed and fidelity of wan-tiny").locator("tbody tr")
    expect(rows).to_have_count(len({pair["sf"] for pair in evaluation["pairs"]}))
    chart = page.get_by_role("img", name="PSNR in dB over speedup of wan-tiny")
    expect(chart.locator("circle")).to_have_count(rows.count())
    assert violations(page) == [] and not is_wider_than_a_phone(page)


def test_the_queue_follows_what_happens(page: Page, address: str, queue: Queue, worker: FakeWorker) -> None:
    page.goto(f"{address}/#queue")
    expect(page.get_by_role("region", name="Workers")).to_contain_text("no live worker")
    worker.model = "wan-tiny"
    worker.announce("busy")
    submit(queue, tenant="default")
    submit(queue, a_request("another"), tenant="default")
    attempt = worker.claim()
    queue.leases.beat(attempt, "denoise", 20)
    running = page.get_by_role("region", name="Running jobs")
    expect(running).to_contain_text(attempt.job.id)
    expect(running).to_contain_text("20/50")
    expect(page.get_by_role("region", name="Queues").locator("tbody tr").first).to_contain_text("wan-tiny111")
    worker.fail(attempt, "generation_failed", "the model refused")
    expect(page.get_by_role("region", name="Jobs that failed last")).to_contain_text(
        "generation_failed: the model refused"
    )
    assert "a red ball" not in page.content(), "the operator sees no prompt"
    assert violations(page) == [] and not is_wider_than_a_phone(page)


def test_a_key_that_is_not_the_operators_is_told_so(page: Page, settings: Settings, tmp_path: Path) -> None:
    keyed = with_keys(settings, tmp_path)
    key = a_key(keyed)
    with served(keyed) as service:
        page.goto(f"{service.address}/#queue")
        page.get_by_label("Key of your account").fill(key)
        page.get_by_role("button", name="Use this key").click()
        expect(page.locator("main")).to_contain_text("needs an API key with the scope admin")
        expect(page.locator("main")).to_contain_text("lacks the scope 'admin'")
        assert violations(page) == []
        page.get_by_role("button", name="API key").click()
        page.get_by_label("Key of your account").fill(a_key(keyed, "ops", Scope.ADMIN))
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("region", name="Queues")).to_contain_text("wan-tiny")
