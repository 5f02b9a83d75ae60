"""A real Chromium in front of a real service. Without a Chromium on the PATH tests skip, and fail in CI."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from service.settings import Settings
from tests.service.image_model import MODELS
from tests.service.serving import served
from tests.service.settings import settings_in


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The one of the distribution: nothing is downloaded.

    For a file's tests, and no longer: as long as playwright runs, no other test of the process can use `asyncio.run`.
    """
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium on the PATH")
        pytest.skip("no chromium on the PATH; apt-get install chromium")
    expect.set_options(timeout=20_000)  # How fast a busy machine draws is not what is tested.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    """With a model of videos and one of images."""
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Where the service is."""
    with served(settings) as service:
        yield service.address


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab in which nothing may go wrong unseen: an error in the console fails the test.

    What the API refuses is shown on the page, and Chromium notes it in the console as well.
    """
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert [each for each in errors if "Failed to load resource" not in each] == []


@pytest.fixture
def modules(page: Page, address: str) -> str:
    """Where the page's modules are."""
    page.goto(address)
    start = page.locator("script[type=module]").get_attribute("src")
    assert start is not None
    return f"{address}/{start.removesuffix('main.js')}"
