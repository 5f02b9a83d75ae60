"""What holds for the whole page, in a browser: the key, the policy, the files' hashes, the addresses of views."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from service.settings import Settings
from tests.service.accounts import a_key, with_keys
from tests.service.page.looks import is_wider_than_a_phone, violations
from tests.service.serving import served


def test_the_key_is_asked_for_once_kept_in_the_tab_and_told_when_it_is_wrong(
    page: Page, settings: Settings, tmp_path: Path
) -> None:
    keyed = with_keys(settings, tmp_path)
    key = a_key(keyed)
    with served(keyed) as service:
        page.goto(service.address)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("missing_api_key")
        assert violations(page) == []
        for tried, code in (("nonsense", "invalid_api_key"), (key, None)):
            page.get_by_label("Key of your account").fill(tried)
            page.keyboard.press("Enter")
            if code:
                expect(dialog).to_contain_text(code)
        expect(page.get_by_role("heading", name="Create")).to_be_visible()
        page.reload()
        expect(page.get_by_label("Prompt", exact=True)).to_be_visible()
        kept = page.evaluate("[Object.values(sessionStorage), Object.keys(localStorage), document.cookie]")
        assert kept == [[key], [], ""]
        page.get_by_role("button", name="API key").click()
        page.get_by_role("button", name="Forget the key").click()
        expect(dialog).to_contain_text("missing_api_key")
        assert page.evaluate("Object.values(sessionStorage)") == []


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Page]:
    """A tab in which something may go wrong."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def test_a_module_that_is_not_the_one_of_its_hash_does_not_run(watched: Page, address: str) -> None:
    def changed(route: Route) -> None:
        route.fulfill(body=route.fetch().text() + "\ndocument.title = 'taken over';", content_type="text/javascript")

    watched.route("**/dom.js", changed)
    with watched.expect_console_message(lambda message: "integrity" in message.text):
        watched.goto(address)
    watched.wait_for_load_state("load")
    assert watched.title() == "ScalingCache Serve" and watched.locator("main").inner_text() == ""


def test_no_other_script_runs_and_nothing_is_sent_elsewhere(watched: Page, address: str) -> None:
    watched.goto(address)
    insert = "document.body.append(Object.assign(document.createElement('script'), {src: 'data:text/javascript,1'}))"
    with pytest.raises(Error, match="TrustedScriptURL"):
        watched.evaluate(insert)
    told = """() => new Promise((resolve) => {
        addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        fetch("http://127.0.0.1:1/").catch(() => {});
    })"""
    assert watched.evaluate(told) == "connect-src"


@pytest.mark.parametrize("place", ["#nothing", "#create/%", "#watch/video_wan-test_0", "#create?from=video_x"])
def test_an_address_of_nothing_is_told_and_the_menu_stays(page: Page, address: str, place: str) -> None:
    page.goto(f"{address}/{place}")
    expect(page.get_by_role("navigation").get_by_role("link").first).to_be_visible()
    expect(page.locator("main section")).not_to_be_empty()


def test_views_are_reached_by_keyboard_and_by_the_browsers_history(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", name="Create")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.get_by_role("link", name="Gallery").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    assert page.title() == "Gallery · ScalingCache Serve"
    expect(page.get_by_role("link", name="Gallery")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.get_by_role("heading", name="Create")).to_be_visible()


def test_every_view_of_the_menu_is_readable_to_all_and_fits_a_phone(page: Page, address: str) -> None:
    page.goto(address)
    links = page.get_by_role("navigation").get_by_role("link")
    expect(links.first).to_be_visible()
    for name in links.all_inner_texts():
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
        assert violations(page) == [], name
        assert not is_wider_than_a_phone(page), name
