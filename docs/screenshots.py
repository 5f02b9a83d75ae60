"""`python -m docs.screenshots [URL]`: a picture of each view of the page, of a product that has made a few things."""

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

FOLDER = Path(__file__).parent / "images"
VIDEOS, IMAGES = "wan-tiny", "flux-tiny"
COMPARED = "a red circle moves to the right on a black background"
#: The videos of the gallery: prompts, with the sf of each; None is uncached.
MADE: tuple[tuple[str, int | None], ...] = (
    (COMPARED, None),
    (COMPARED, 10),
    (COMPARED, 6),
    ("a green triangle moves up on a gray background", None),
    ("a green triangle moves up on a gray background", 10),
    ("a blue square moves to the left on a white background", 6),
)
IMAGE = "a blue triangle on a white background"
WRITTEN = "a white square moves to the right on a green background"
WIDTH, HEIGHT = 1200, 720
COMPARED_HEIGHT, JUDGED_HEIGHT = 1290, 900
#: By then a view has what it shows, in milliseconds.
SETTLED = 3000
#: Of the files: text stays sharp, and none is larger than a page should load.
QUALITY, MOST_BYTES = 90, 150_000


def main(url: str | None = None) -> None:
    """Take the pictures of the product at this address, or start one and make the videos first."""
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as undo:
        if url is None:
            url = undo.enter_context(running_stack(VIDEOS, IMAGES)).url
            with _api(url) as api:
                _make_all(api)
        page = undo.enter_context(_page())
        for name, picture in _pictures(page, url):
            path = FOLDER / f"{name}.webp"
            Image.open(BytesIO(picture)).convert("RGB").save(path, quality=QUALITY, method=6)
            size = path.stat().st_size
            print(f"{path}  {size / 1000:.0f} kB{', too large' if size > MOST_BYTES else ''}")


def _api(url: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/v1", timeout=600)


def _make_all(api: httpx.Client) -> None:
    steps = api.get(f"/models/{VIDEOS}").raise_for_status().json()["defaults"]["steps"]
    api.post("/images/generations", json={"model": IMAGES, "prompt": IMAGE, "seed": 7}).raise_for_status()
    for prompt, sf in MADE:
        made = api.post("/videos", json={"model": VIDEOS, "prompt": prompt, "seed": 7, "sf": sf or steps})
        video = _finished(api, made.raise_for_status().json()["id"])
        print(f"sf {video['sf']}: {video['timings']['denoise']:.1f} s of denoising")


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
    """Names and PNG files."""
    page.goto(f"{url}/#create")
    page.get_by_label("Prompt", exact=True).fill(WRITTEN)
    expect(page.locator(".figures")).to_contain_text("took")
    yield "create", page.screenshot()
    yield "watch", _watched(page, url)
    for view in ("gallery", "models", "queue"):
        page.goto(f"{url}/#{view}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_timeout(SETTLED)
        yield view, page.screenshot()
    yield "compare", _compared(page, url)
    yield from _judged(page, url)


def _watched(page: Page, url: str) -> bytes:
    """A video that was accelerated, in the middle of its length."""
    with _api(url) as api:
        made = api.get("/videos", params={"status": "completed"}).raise_for_status().json()["data"]
    page.goto(f"{url}/#watch/{next(video['id'] for video in made if video['engaged'])}")
    page.locator("video").evaluate("video => { video.controls = false; video.currentTime = video.duration / 2; }")
    page.wait_for_timeout(SETTLED)
    return page.screenshot()


def _compared(page: Page, url: str) -> bytes:
    """Several settings of one prompt, with what was measured."""
    page.goto(f"{url}/#compare")
    page.get_by_role("main").get_by_role("link", name=COMPARED).first.click()
    page.set_viewport_size({"width": WIDTH, "height": COMPARED_HEIGHT})
    expect(page.get_by_text("frames compared, as")).to_be_visible()
    page.get_by_label("Frame", exact=True).fill("12")
    page.wait_for_timeout(SETTLED)
    picture = page.screenshot()
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    return picture


def _judged(page: Page, url: str) -> Iterator[tuple[str, bytes]]:
    """A study in which one pair was judged: the next one as who was invited sees it, and the results so far."""
    page.set_viewport_size({"width": WIDTH, "height": JUDGED_HEIGHT})
    page.goto(f"{url}/#blind")
    page.get_by_label("Model").select_option(VIDEOS)
    page.get_by_role("button", name="Make the study").click()
    page.get_by_role("button", name="Invite people").click()
    expect(page.get_by_label("Address to vote at")).to_be_visible()
    study, invited = page.url, page.get_by_label("Address to vote at").input_value()
    page.goto(invited)
    page.get_by_role("button", name="No difference").click()
    expect(page.get_by_role("heading", name="Pair 2 of")).to_be_visible()
    page.locator("figure video").evaluate_all("all => all.map((video) => { video.currentTime = video.duration / 2; })")
    page.wait_for_timeout(SETTLED)
    yield "vote", page.screenshot()
    page.goto(study)
    expect(page.get_by_role("region", name="Results")).to_contain_text("no difference shown")
    page.wait_for_timeout(SETTLED)
    yield "blind-test", page.screenshot()


if __name__ == "__main__":
    main(*sys.argv[1:2])
