"""The whole way in a browser: a prompt is filled in, a real worker makes the video, and it plays."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from demo.stack import Stack, running_stack

MODEL = "wan-tiny"
PROMPT = "a red circle moves to the right on a black background"
#: Of a worker that shares its cores.
MOST_MILLISECONDS = 200_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack(MODEL) as stack:
        yield stack


def test_a_prompt_becomes_a_video_that_plays(page: Page, stack: Stack) -> None:
    model = httpx.get(f"{stack.url}/v1/models/{MODEL}").json()
    frames = model["frame_multiple"] + 1
    page.goto(stack.url)
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.get_by_label("Frames").fill(str(frames))
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("10")
    page.get_by_label("Speed knob").fill("4")
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
    expect(page.locator(".cells i.full")).to_have_count(made["full_steps"])
    expect(page.locator(".cells i.predicted")).to_have_count(made["cached_steps"])
    expect(page.locator(".outcome")).to_contain_text(f"{made['full_steps']} of 10 steps")
