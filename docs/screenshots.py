"""`python -m docs.screenshots`: a picture of each view of the page, of a product that runs and has made videos."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
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
WATCHED = "a white square moves to the right on a green background"
#: What is pressed in a view before it is worth a picture, by role and name.
OPENED: dict[str, tuple[tuple[Any, str], ...]] = {
    "Compare": (("link", MADE[0][0]), ("button", "Next frame")),
    "Blind test": (("button", "Make the study"), ("button", "Invite people")),
}
WIDTH, HEIGHT = 1280, 800
#: By then a view has what it shows, in milliseconds.
SETTLED = 3000
#: A worker on two cores that others use too.
MOST_SECONDS = 1800


def main() -> None:
    """Start everything, make the videos, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with running_stack(MODEL) as stack, httpx.Client(base_url=f"{stack.url}/v1", timeout=60) as api:
        for prompt, sf in MADE:
            _finished(api, _make(api, prompt, sf))
        with _page() as page:
            for name, picture in _pictures(page, api, stack.url):
                path = IMAGES / f"{name}.png"
                path.write_bytes(picture)
                print(f"{path}  {len(picture) / 1000:.0f} kB")


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


def _pictures(page: Page, api: httpx.Client, url: str) -> Iterator[tuple[str, bytes]]:
    """Names and PNG files: what is made, what is watched, and every other view of the menu."""
    page.goto(f"{url}/#create")
    page.get_by_label("Prompt", exact=True).fill(WATCHED)
    expect(page.locator(".figures")).to_contain_text("jobs took")
    yield "create", page.screenshot()
    watched = _make(api, WATCHED, None)
    page.goto(f"{url}/#watch/{watched}")
    # By a locator: the page's policy lets no function be made of a text, which is how the browser would wait for one.
    page.locator(".cells i:not(.ahead)").nth(29).wait_for(state="attached", timeout=MOST_SECONDS * 1000)
    yield "watch", page.screenshot()
    _finished(api, watched)
    invited = ""
    menu = page.get_by_role("navigation")
    for name in menu.get_by_role("link").all_inner_texts()[1:]:
        menu.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for role, label in OPENED.get(name, ()):
            page.get_by_role("main").get_by_role(role, name=label).first.click()
        page.wait_for_timeout(SETTLED)
        yield name.lower().replace(" ", "-"), page.screenshot()
        if name == "Blind test":
            invited = page.get_by_label("Address to vote at").input_value()
    page.goto(invited)
    page.wait_for_timeout(SETTLED)
    yield "vote", page.screenshot()


if __name__ == "__main__":
    main()
