"""A video that is watched, in a browser: waiting, running, cancelled, failed, completed, and with Redis away."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from demo.embedded_redis import EmbeddedRedis
from service.settings import Settings
from tests.queues import Queue
from tests.redis_servers import kill
from tests.service.image_model import MODELS
from tests.service.page.films import FRAMES, FilmWorker
from tests.service.page.looks import is_wider_than_a_phone, violations
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.artifacts import ArtifactStore

PROMPT = "a red ball"


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FilmWorker:
    return FilmWorker(queue, ArtifactStore(settings.artifacts))


def make(address: str, **fields: object) -> str:
    made: str = httpx.post(f"{address}/v1/videos", json={"prompt": PROMPT, **fields}).raise_for_status().json()["id"]
    return made


def test_a_video_is_followed_from_its_place_in_the_queue_to_its_playback(
    page: Page, address: str, worker: FilmWorker
) -> None:
    first, second = make(address), make(address)
    page.goto(f"{address}/#watch/{second}")
    expect(page.get_by_text("1 job before it")).to_be_visible()
    worker.run_one()
    expect(page.get_by_text("Next to start")).to_be_visible()
    attempt = worker.claim()
    worker.queue.leases.beat(attempt, "denoise", 20)
    expect(page.get_by_text("Step 20 of 50")).to_be_visible()
    expect(page.locator(".cells i.ahead")).to_have_count(30)
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    worker.complete(attempt)
    expect(page.locator(".cells i.full")).to_have_count(20)
    expect(page.locator(".cells i.predicted")).to_have_count(30)
    video = page.locator("video")
    expect(video).to_be_visible()
    wait_until(lambda: video.evaluate("video => video.readyState") > 0)
    assert video.evaluate("video => video.duration") == pytest.approx(FRAMES / 8)
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == f"{second}.mp4"
    assert Path(download.value.path()).read_bytes() == httpx.get(f"{address}/v1/videos/{second}/content").content
    assert first != second


def test_a_video_is_cancelled(page: Page, address: str) -> None:
    made = make(address)
    page.goto(f"{address}/#watch/{made}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".badge")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert httpx.get(f"{address}/v1/videos/{made}").json()["state"] == "cancelled"


def test_why_a_video_failed_is_told_as_the_api_says_it(page: Page, address: str, worker: FilmWorker) -> None:
    made = make(address)
    page.goto(f"{address}/#watch/{made}")
    expect(page.locator(".badge")).to_have_text("queued")
    worker.fail(worker.claim(), "generation_failed", "the model refused")
    expect(page.get_by_role("alert")).to_contain_text("the model refused")
    expect(page.get_by_role("alert")).to_contain_text("generation_failed")
    expect(page.locator(".badge")).to_have_text("failed")
    assert violations(page) == []


def test_an_attempt_shows_nothing_of_the_one_before_it(page: Page, address: str, worker: FilmWorker) -> None:
    made = make(address)
    page.goto(f"{address}/#watch/{made}")
    attempt = worker.claim()
    worker.queue.leases.beat(attempt, "denoise", 20)
    expect(page.get_by_text("Step 20 of 50")).to_be_visible()
    worker.fail(attempt, "generation_failed", "the model refused", max_attempts=2)
    expect(page.locator(".badge")).to_have_text("queued")
    worker.queue.leases.beat(worker.claim(), "denoise", 5)
    expect(page.get_by_text("Step 5 of 50")).to_be_visible()
    expect(page.locator(".cells i.ahead")).to_have_count(45)


def test_a_completed_video_is_remixed(page: Page, address: str, worker: FilmWorker) -> None:
    made = make(address, seed=7)
    worker.run_one()
    page.goto(f"{address}/#watch/{made}")
    page.get_by_role("button", name="Remix").click()
    expect(page.get_by_label("New prompt")).to_have_value(PROMPT)
    assert violations(page) == []
    page.get_by_label("New prompt").fill("a blue ball")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a blue ball")
    newest = httpx.get(f"{address}/v1/videos").json()["data"][0]
    assert (newest["remixed_from_video_id"], newest["seed"], newest["prompt"]) == (made, 7, "a blue ball")


class TestWithARedisThatGoesAway:
    @pytest.fixture
    def settings(self, tmp_path: Path, own_redis: EmbeddedRedis) -> Settings:
        return settings_in(tmp_path, own_redis.url, *MODELS)

    def test_it_is_told_and_the_video_is_followed_on_when_redis_is_back(
        self, page: Page, address: str, worker: FilmWorker, own_redis: EmbeddedRedis
    ) -> None:
        made = make(address)
        page.goto(f"{address}/#watch/{made}")
        expect(page.locator(".badge")).to_have_text("queued")
        kill(own_redis)
        expect(page.get_by_role("alert")).to_contain_text("queue_unavailable", timeout=30_000)
        own_redis.start()
        worker.run_one()
        expect(page.locator("video")).to_be_visible(timeout=30_000)
        expect(page.get_by_role("alert")).to_have_count(0)
