"""Create, in a browser: the knob, the fields, what is refused, and the request as code."""

import json
import shlex
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from service.settings import Settings
from tests.images import a_file
from tests.queues import Queue
from tests.service import first_frames
from tests.service.image_model import live_image_worker
from tests.service.page.looks import is_wider_than_a_phone, violations
from tests.service.settings import settings_in
from workers.jobs.job import JobError

PROMPT = 'a <b>red</b> ball\'s "way" & <img src=x onerror=alert(1)>'


def figure(page: Page, name: str) -> str:
    text: str = page.locator(".figures > div", has_text=name).locator("strong").inner_text()
    return text


def test_each_position_of_the_knob_says_what_it_costs_and_brings(page: Page, address: str) -> None:
    full_steps = httpx.get(f"{address}/v1/models/wan-test").json()["sf"]["full_steps"]
    page.goto(f"{address}/#create")
    knob = page.get_by_label("Speed knob")
    expect(knob).to_have_value("10")
    assert (figure(page, "Steps in full"), figure(page, "Speedup")) == (str(full_steps["10"]), "2.8×")
    knob.focus()
    page.keyboard.press("ArrowLeft")
    assert figure(page, "Steps in full") == str(full_steps["9"])
    assert knob.get_attribute("aria-valuetext") == f"sf 9, {full_steps['9']} of 50 steps in full"
    page.keyboard.press("End")
    assert (figure(page, "Steps in full"), figure(page, "Speedup"), figure(page, "Fidelity")) == ("50", "1×", "exact")
    assert page.locator(".cells i.full").count() == 50


def test_a_request_is_made_as_it_was_filled_in_and_as_its_code_says(page: Page, address: str, queue: Queue) -> None:
    page.goto(f"{address}/#create")
    page.get_by_label("Prompt", exact=True).fill(PROMPT)
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Frames").fill("5")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("20")
    asked = {"model": "wan-test", "prompt": PROMPT, "sf": 10, "frames": 5, "steps": 20, "seed": 7}
    code = page.get_by_label("The request as code")
    words = shlex.split(code.inner_text())
    assert json.loads(words[words.index("-d") + 1]) == asked
    page.get_by_role("button", name="JSON").click()
    assert json.loads(code.inner_text()) == asked
    page.get_by_role("button", name="Python").click()
    compile(code.inner_text(), "code", "exec")
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(PROMPT)
    [made] = httpx.get(f"{address}/v1/videos").json()["data"]
    assert {name: made[name] for name in asked} == asked
    assert page.url.endswith(f"#watch/{made['id']}")


def test_a_refused_request_is_told_in_the_words_of_the_api(page: Page, address: str) -> None:
    page.goto(f"{address}/#create")
    page.get_by_label("Prompt", exact=True).fill("a red ball")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("101")
    said = httpx.post(f"{address}/v1/videos", json={"prompt": "a red ball", "steps": 101}).json()["error"]
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text(said["message"])
    expect(problem).to_contain_text(said["code"])
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    page.get_by_label("Steps").fill("20")
    expect(problem).to_have_count(0)


def test_the_settings_of_another_video_are_taken_over(page: Page, address: str) -> None:
    settings = {"prompt": "a blue square", "sf": 6, "steps": 30, "seed": 9, "size": "64x64", "guidance": 2.5}
    made = httpx.post(f"{address}/v1/videos", json=settings).json()
    page.goto(f"{address}/#create?from={made['id']}")
    page.get_by_role("button", name="JSON").click()
    expect(page.get_by_label("The request as code")).to_contain_text("a blue square")
    assert json.loads(page.get_by_label("The request as code").inner_text()) == settings | {"model": "wan-test"}


def test_an_image_is_made_and_shown_where_it_was_asked_for(page: Page, address: str, settings: Settings) -> None:
    page.goto(f"{address}/#create")
    page.get_by_label("Model").select_option("flux-test")
    expect(page.get_by_label("Frames")).to_have_count(0)
    for prompt in ("impossible", "a red ball"):
        page.get_by_label("Prompt", exact=True).fill(prompt)
        with live_image_worker(settings):
            page.get_by_role("button", name="Make the image").click()
            expect(page.locator(".figures")).to_contain_text("Time")
            if prompt == "impossible":
                expect(page.get_by_role("alert")).to_contain_text("the model refused")
            else:
                expect(page.get_by_role("heading", name="Result")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("link", name="Settings and actions").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a red ball")
    page.get_by_role("link", name="Use settings").click()
    expect(page.get_by_label("Model")).to_have_value("flux-test")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("a red ball")


LENGTH = "async ({module, asked}) => (await import(module)).promptLength(...asked)"


def test_the_length_of_a_prompt_is_the_encoders_count_where_it_is_known(page: Page, modules: str) -> None:
    module = f"{modules}create/prompt_length.js"

    def said(prompt: str, tokens: int | None, limit: int | None) -> str:
        estimate = {"prompt_tokens": tokens, "prompt_token_limit": limit}
        told = page.evaluate(LENGTH, {"module": module, "asked": [prompt, 512, estimate]})
        assert told["isCut"] == ("will not be read" in told["text"]) and told["isExact"] == (tokens is not None)
        return str(told["text"])

    assert said("a red ball", 31, 512) == "31 of 512 tokens"
    assert said("a red ball", 600, 512) == "600 of 512 tokens: the last 88 will not be read"
    assert said("a red ball", None, None).startswith("About 3 words; the text encoder reads 512 tokens")
    assert said("ball " * 513, None, None).endswith("what is beyond will not be read")


class TestWithAFirstFrame:
    @pytest.fixture
    def settings(self, tmp_path: Path, redis_url: str) -> Settings:
        return settings_in(tmp_path, redis_url, *first_frames.MODELS)

    def test_a_picture_is_chosen_shown_and_sent(self, page: Page, address: str, queue: Queue) -> None:
        page.goto(f"{address}/#create")
        expect(page.get_by_text("First frame")).to_be_hidden()
        page.get_by_label("Model").select_option("animator")
        page.get_by_label("Prompt", exact=True).fill("it rises")
        chooser = page.locator("input[type=file]")
        chooser.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"})
        expect(page.get_by_text("a first frame is a PNG, JPEG or WebP file")).to_be_visible()
        chooser.set_input_files({"name": "frame.png", "mimeType": "image/png", "buffer": a_file()})
        expect(page.get_by_alt_text("First frame: frame.png")).to_be_visible()
        assert violations(page) == []
        page.get_by_role("button", name="Make the video").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("it rises")
        attempt = queue.leases.claim(["animator"], "w")
        assert attempt is not None and attempt.job.request.input_reference is not None
        queue.leases.fail(attempt, JobError(code="generation_failed", message="it failed"), max_attempts=1)
        page.get_by_role("button", name="Re-run").click()
        expect(page.locator(".badge")).to_have_text("queued")
        again, first = httpx.get(f"{address}/v1/videos").json()["data"]
        assert again["input_reference"] == first["input_reference"] == attempt.job.request.input_reference
        assert page.url.endswith(f"#watch/{again['id']}") and again["scene"] == first["scene"]
        page.get_by_role("link", name="Use settings").click()
        expect(page.get_by_text("which has to be given here once more")).to_be_visible()
        expect(page.get_by_alt_text("First frame: frame.png")).to_have_count(0)
