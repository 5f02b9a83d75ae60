"""The gallery, in a browser: what is listed, what the filters leave, what the buttons do."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from service.settings import Settings
from tests.queues import Queue
from tests.service.page.films import FilmWorker
from tests.service.page.looks import is_wider_than_a_phone, violations
from workers.jobs.artifacts import ArtifactStore

PAGE = 24


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FilmWorker:
    return FilmWorker(queue, ArtifactStore(settings.artifacts))


def make(address: str, prompt: str) -> str:
    made: str = httpx.post(f"{address}/v1/videos", json={"prompt": prompt}).raise_for_status().json()["id"]
    return made


def test_own_videos_are_listed_filtered_and_deleted(page: Page, address: str, worker: FilmWorker) -> None:
    made = make(address, "a red ball")
    worker.run_one()
    make(address, "a blue ball")
    page.goto(f"{address}/#gallery")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("a blue ball")
    expect(cards.nth(1).locator("video")).to_be_visible()
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    page.get_by_label("Status").select_option("completed")
    expect(cards).to_have_count(1)
    cards.get_by_text("Settings and actions").click()
    assert violations(page) == []
    cards.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Leave it").click()
    assert httpx.get(f"{address}/v1/videos/{made}").status_code == 200
    cards.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(cards).to_have_count(0)
    assert httpx.get(f"{address}/v1/videos/{made}").status_code == 404


def test_a_video_goes_on_in_the_gallery_while_it_is_looked_at(page: Page, address: str, worker: FilmWorker) -> None:
    make(address, "a red ball")
    page.goto(f"{address}/#gallery")
    expect(page.locator(".badge")).to_have_text("queued")
    worker.run_one()
    expect(page.locator(".badge")).to_have_text("completed")
    expect(page.get_by_role("article").locator("video")).to_be_visible()


def test_more_are_shown_page_by_page(page: Page, address: str) -> None:
    for number in range(PAGE + 1):
        make(address, f"ball {number}")
    page.goto(f"{address}/#gallery")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(PAGE)
    page.get_by_role("button", name="Show more").click()
    expect(cards).to_have_count(PAGE + 1)
    expect(cards.last).to_contain_text("ball 0")
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)
