"""The whole way in a browser, with a real worker: from a prompt to what is seen, compared and judged."""

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.stack import Stack, running_stack
from tests.waiting import wait_until

VIDEOS, IMAGES = "wan-tiny", "flux-tiny"
PROMPT = "a red circle moves to the right on a black background"
#: Of a worker that shares its cores.
MOST_MILLISECONDS = 200_000
#: Few steps and frames, of which some are predicted with `sf` = 4.
SHORT = {"prompt": PROMPT, "seed": 7, "steps": 10, "frames": 5}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(VIDEOS, IMAGES) as stack:
        yield stack


def test_a_prompt_becomes_a_video_that_plays(page: Page, stack: Stack) -> None:
    model = httpx.get(f"{stack.url}/v1/models/{VIDEOS}").json()
    frames = model["frame_multiple"] + 1
    page.goto(stack.url)
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.get_by_label("Frames").fill(str(frames))
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("10")
    page.get_by_label("Speed knob").fill("4")
    length = page.get_by_text(re.compile(r"^\d+ of \d+ tokens$"))

    def counted() -> bool:
        """The page asks as it is typed in, and gives up on a worker that is busy."""
        page.get_by_label("Prompt", exact=True).fill(PROMPT)
        with suppress(AssertionError):
            expect(length).to_be_visible(timeout=10_000)
        return length.is_visible()

    wait_until(counted)
    told = length.inner_text()
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(PROMPT)
    video = page.locator("video")
    expect(video).to_be_visible(timeout=MOST_MILLISECONDS)
    video.evaluate("""video => new Promise((resolve) => {
        video.addEventListener("timeupdate", () => video.currentTime > 0 && resolve());
        video.play();
    })""")
    made = httpx.get(f"{stack.url}/v1/videos").json()["data"][0]
    assert (made["steps"], made["sf"], made["frames"], made["engaged"]) == (10, 4, frames, True)
    assert told.split()[0] == str(made["prompt_tokens"][0]["total"])
    expect(page.locator(".cells i.full")).to_have_count(made["full_steps"])
    expect(page.locator(".cells i.predicted")).to_have_count(made["cached_steps"])
    expect(page.locator(".outcome")).to_contain_text(f"{made['full_steps']} of 10 steps")


def test_a_prompt_becomes_an_image_that_is_shown(page: Page, stack: Stack) -> None:
    page.goto(stack.url)
    page.get_by_label("Model").select_option(IMAGES)
    page.get_by_label("Prompt", exact=True).fill("a blue triangle on a white background")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("10")
    page.get_by_label("Speed knob").fill("4")
    page.get_by_role("button", name="Make the image").click()
    image = page.locator("img.result")
    expect(image).to_be_visible(timeout=MOST_MILLISECONDS)
    [made] = httpx.get(f"{stack.url}/v1/images").json()["data"]
    assert (made["steps"], made["sf"], made["engaged"], made["status"]) == (10, 4, True, "completed")
    width, height = image.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert made["size"] == f"{width}x{height}"


@pytest.fixture(scope="module")
def pair(stack: Stack) -> list[str]:
    """One prompt and seed, uncached and accelerated."""
    made = [httpx.post(f"{stack.url}/v1/videos", json=SHORT | {"sf": sf}).json()["id"] for sf in (10, 4)]
    wait_until(lambda: all(is_made(stack, each) for each in made), seconds=MOST_MILLISECONDS / 1000)
    return made


def is_made(stack: Stack, video: str) -> bool:
    found = httpx.get(f"{stack.url}/v1/videos/{video}", params={"wait": 20}, timeout=60).json()
    assert found["status"] != "failed", found["error"]
    return bool(found["status"] == "completed")


def test_an_accelerated_video_is_compared_with_the_uncached_one(page: Page, stack: Stack, pair: list[str]) -> None:
    page.goto(f"{stack.url}/#compare")
    page.get_by_role("region", name="Finished results").get_by_role("link", name=PROMPT).click()
    expect(page.get_by_text("All 5 frames compared")).to_be_visible(timeout=MOST_MILLISECONDS)
    assert page.url.endswith(f"#compare/{','.join(pair)}"), "the uncached one first"
    cells = page.get_by_role("region", name="Time and fidelity").locator("tbody tr").nth(1).locator("td")
    decibels = float((cells.nth(4).text_content() or "").removesuffix(" dB"))
    assert 20 < decibels < 100, "near the uncached one, and not the same"
    speedup = httpx.get(f"{stack.url}/v1/videos/{pair[1]}").json()["speedup"]["measured"]
    assert cells.nth(3).text_content() == f"{speedup:.1f}×"
    curve = page.get_by_role("img", name="PSNR in dB by frame, against uncached, 10 steps")
    points = re.findall(r"[ML]([\d.]+)[ ,]([\d.]+)", curve.locator(".s0 path").get_attribute("d") or "")
    assert len(points) == 5
    page.get_by_role("button", name="Play").click()
    times = "all => all.map((video) => video.currentTime)"
    videos = page.locator("figure video")
    wait_until(lambda: max(videos.evaluate_all(times)) > 0)
    page.get_by_role("button", name="Pause").click()
    wait_until(lambda: len(set(videos.evaluate_all(times))) == 1)


def test_people_judge_an_accelerated_video_against_the_uncached_one(
    page: Page, chromium: Browser, stack: Stack, pair: list[str], tmp_path: Path
) -> None:
    page.goto(f"{stack.url}/#blind")
    page.get_by_role("button", name="Make the study").click()
    page.get_by_role("button", name="Invite people").click()
    link = page.get_by_label("Address to vote at").input_value()
    guest = chromium.new_context().new_page()
    guest.goto(link)
    expect(guest.locator("figure video")).to_have_count(2)
    guest.keyboard.press("ArrowLeft")
    expect(guest.get_by_text("All pairs are judged")).to_be_visible()
    guest.context.close()
    expect(page.get_by_role("region", name="Results")).to_contain_text("sf 4, 10 steps")
    expect(page.get_by_text("1 vote of 1 participant")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "results.csv")
    [told] = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert (told["model"], told["setting"], told["votes"]) == (VIDEOS, "sf 4, 10 steps", "1")
    assert sorted((told["setting_preferred"], told["baseline_preferred"], told["no_difference"])) == ["0", "0", "1"]
