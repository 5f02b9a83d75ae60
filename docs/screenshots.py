"""`python -m docs.screenshots [URL]`: a picture of each view of the page, of a product that has made videos."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from demo.stack import running_stack

IMAGES = Path(__file__).parent / "images"
MODEL = "wan-tiny"
#: The prompts of the gallery's videos, with the sf of each; None is uncached.
MADE: tuple[tuple[str, int | None], ...] = (
    ("a red circle moves to the right on a black background", None),
    ("a red circle moves to the right on a black background", 10),
    ("a green triangle moves up on a gray background", 10),
    ("a blue square moves to the left on a white background", 14),
    ("a yellow circle moves down on a blue background", 6),
)
WRITTEN = "a white square moves to the right on a green background"
#: What is pressed in a view before it is worth a picture, by role and name; what a product does not have is left.
OPENED: dict[str, tuple[tuple[Any, str], ...]] = {
    "Compare": (("link", MADE[0][0]), ("button", "Next frame")),
    "Blind test": (("button", "Make the study"), ("button", "Invite people")),
}
WIDTH, HEIGHT = 1200, 720
#: By then a view has what it shows, in milliseconds.
SETTLED = 3000


def main(url: str | None = None) -> None:
    """Take the pictures of the product at this address, or start one and make the videos first."""
    IMAGES.mkdir(exist_ok=True)
    with ExitStack() as undo:
        if url is None:
            url = undo.enter_context(running_stack(MODEL)).url
            with _api(url) as api:
                for prompt, sf in MADE:
                    _finished(api, _make(api, prompt, sf))
        page = undo.enter_context(_page())
        for name, picture in _pictures(page, url):
            path = IMAGES / f"{name}.png"
            Image.open(BytesIO(picture)).convert("RGB").save(path, optimize=True)
            print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def _api(url: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/v1", timeout=60)


def _make(api: httpx.Client, prompt: str, sf: int | None) -> str:
    steps = api.get(f"/models/{MODEL}").raise_for_status().json()["defaults"]["steps"]
    made = api.post("/videos", json={"model": MODEL, "prompt": prompt, "seed": 7, "sf": sf or steps})
    identity: str = made.raise_for_status().json()["id"]
    return identity


def _finished(api: httpx.Client, video: str) -> dict[str, Any]:
    while True:
        found: dict[str, Any] = api.get(f"/videos/{video}", params={"wait": 20}).raise_for_status().json()
        if found["status"] == "failed":
            raise SystemExit(f"{video} failed: {found['error']['message']}")
        if found["status"] == "completed":
            return found


@contextmanager
def _page() -> Iterator[Page]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no chromium on the PATH; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def _pictures(page: Page, url: str) -> Iterator[tuple[str, bytes]]:
    """Names and PNG files: a request that is filled in, a video that was accelerated, every other view of the menu."""
    page.goto(f"{url}/#create")
    page.get_by_label("Prompt", exact=True).fill(WRITTEN)
    expect(page.locator(".figures")).to_contain_text("took")
    yield "create", page.screenshot()
    with _api(url) as api:
        made = api.get("/videos", params={"status": "completed"}).raise_for_status().json()["data"]
    page.goto(f"{url}/#watch/{next(video['id'] for video in made if video['engaged'])}")
    page.locator("video").evaluate("video => { video.controls = false; video.currentTime = video.duration / 2; }")
    page.wait_for_timeout(SETTLED)
    yield "watch", page.screenshot()
    invited = ""
    menu = page.get_by_role("navigation")
    for name in menu.get_by_role("link").all_inner_texts()[1:]:
        menu.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for role, label in OPENED.get(name, ()):
            page.wait_for_timeout(SETTLED)
            if (pressed := page.get_by_role("main").get_by_role(role, name=label)).count():
                pressed.first.click()
        page.wait_for_timeout(SETTLED)
        yield name.lower().replace(" ", "-"), page.screenshot()
        if (address := page.get_by_label("Address to vote at")).count():
            invited = address.input_value()
    if invited:
        page.goto(invited)
        page.wait_for_timeout(SETTLED)
        yield "vote", page.screenshot()


if __name__ == "__main__":
    main(*sys.argv[1:2])
