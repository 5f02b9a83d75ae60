"""The blind test, in two browsers: who runs the study, and who was invited."""

import csv
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from service.accounts import Scope
from service.settings import Settings
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.fake_worker import FakeWorker
from tests.service.judged import Judged
from tests.service.page.looks import is_wider_than_a_phone, violations


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Without keys nobody could see that an invitation needs none."""
    return with_keys(settings, tmp_path)


@pytest.fixture
def key(settings: Settings) -> str:
    return a_key(settings)


@pytest.fixture
def ids(address: str, key: str, worker: FakeWorker) -> list[str]:
    """Two prompts, each uncached and with `sf` = 10."""
    bodies = [{"prompt": prompt, "seed": 5, "sf": sf} for prompt in ("a wave", "a tide") for sf in (50, 10)]
    made = [httpx.post(f"{address}/v1/videos", json=body, headers=bearer(key)).json()["id"] for body in bodies]
    Judged(worker).finish_all(4)
    return made


@pytest.fixture
def owner(page: Page, address: str, key: str, ids: list[str]) -> Page:
    """Whoever runs the study, on its page."""
    page.goto(f"{address}/#blind")
    page.get_by_label("Key of your account").fill(key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_text("2 pairs of 4 videos")).to_be_visible()
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    page.get_by_role("button", name="Make the study").click()
    expect(page.get_by_text("no votes yet")).to_be_visible()
    return page


@pytest.fixture
def link(owner: Page) -> str:
    """What people are sent."""
    owner.get_by_role("button", name="Invite people").click()
    return owner.get_by_label("Address to vote at").input_value()


@pytest.fixture
def guest(chromium: Browser) -> Iterator[Page]:
    """A browser of its own, without a key."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def test_people_vote_with_the_keyboard_and_the_table_shows_it(
    owner: Page, guest: Page, link: str, tmp_path: Path
) -> None:
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Pair 1 of 2")).to_be_visible()
    expect(guest.get_by_role("dialog")).to_have_count(0)
    assert violations(guest) == [] and not is_wider_than_a_phone(guest)
    guest.keyboard.press("ArrowDown")
    expect(guest.get_by_role("heading", name="Pair 2 of 2")).to_be_visible()
    guest.keyboard.press("Backspace")
    expect(guest.get_by_role("button", name="No difference", pressed=True)).to_be_visible()
    guest.keyboard.press("ArrowDown")
    expect(guest.get_by_role("heading", name="Pair 2 of 2")).to_be_visible()
    guest.get_by_role("button", name="No difference").click()
    expect(guest.get_by_text("All pairs are judged")).to_be_visible()
    row = owner.get_by_role("region", name="Results").locator("tbody tr")
    expect(row).to_contain_text("sf 10, 50 steps", timeout=15_000)
    expect(row).to_contain_text("no difference shown; at worst", timeout=15_000)
    expect(row.get_by_role("img", name="score 50 %")).to_be_visible()
    expect(owner.get_by_role("region", name="Invitations")).to_contain_text("2 of 1000")
    expect(owner.get_by_label("Address to vote at")).to_have_value(link)
    assert violations(owner) == [] and not is_wider_than_a_phone(owner)
    with owner.expect_download() as download:
        owner.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "results.csv")
    [told] = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert (told["setting"], told["votes"], told["score"]) == ("sf 10, 50 steps", "2", "0.5000")


def test_the_invitation_is_in_no_address_and_nothing_tells_the_settings(guest: Page, link: str, ids: list[str]) -> None:
    asked: list[str] = []
    guest.on("request", lambda request: asked.append(request.url))
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Pair 1 of 2")).to_be_visible()
    secret = link.split("_", 3)[3]  # which may have a _ of its own
    assert guest.url.endswith("/#vote") and len(asked) > 4
    assert not [url for url in asked if secret in url.partition("#")[0]]
    shown = guest.content()
    assert not [each for each in (secret, "uncached", "sf 10", *ids) if each in shown or each in str(asked[1:])]
    guest.reload()
    expect(guest.get_by_role("heading", name="Pair 1 of 2")).to_be_visible()


def test_who_comes_back_goes_on_where_they_were(guest: Page, link: str) -> None:
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Pair 1 of 2")).to_be_visible()
    guest.keyboard.press("ArrowLeft")
    second = guest.get_by_role("heading", name="Pair 2 of 2")
    expect(second).to_be_visible()
    prompt = second.text_content()
    guest.goto("about:blank")
    guest.goto(link)
    expect(second).to_have_text(prompt or "")


def test_an_invitation_that_was_ended_says_so_and_asks_for_no_key(owner: Page, guest: Page, link: str) -> None:
    owner.get_by_role("button", name="End it").click()
    expect(owner.get_by_role("region", name="Invitations")).to_contain_text("ended by hand")
    guest.goto(link)
    expect(guest.get_by_role("alert")).to_contain_text("the invitation is not valid")
    expect(guest.get_by_role("dialog")).to_have_count(0)
    assert violations(guest) == []


def test_a_pair_whose_videos_are_gone_is_passed_over(
    guest: Page, link: str, address: str, key: str, ids: list[str]
) -> None:
    for each in ids[:2]:
        httpx.delete(f"{address}/v1/videos/{each}", headers=bearer(key))
    guest.goto(link)
    expect(guest.get_by_role("heading", name="a tide")).to_be_visible()
    guest.keyboard.press("ArrowRight")
    expect(guest.get_by_text("1 pair judged; 1 pair could not be shown")).to_be_visible()


def test_a_deleted_study_is_gone(owner: Page) -> None:
    owner.get_by_role("button", name="Delete").click()
    owner.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(owner.get_by_role("region", name="Studies")).to_contain_text("none yet")


def test_a_key_that_may_only_read_is_told_why_it_makes_none(
    page: Page, address: str, settings: Settings, ids: list[str]
) -> None:
    page.goto(f"{address}/#blind")
    page.get_by_label("Key of your account").fill(a_key(settings, "acme", Scope.READ))
    page.get_by_role("button", name="Use this key").click()
    page.get_by_role("button", name="Make the study").click()
    expect(page.get_by_role("alert")).to_contain_text("lacks the scope 'generate'")
