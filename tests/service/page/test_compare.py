"""The view that compares, in a browser: results of one prompt and seed at several settings."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from service.pairing import paired
from service.settings import Settings
from tests.images import a_file
from tests.queues import Queue
from tests.service import first_frames
from tests.service.fake_worker import FakeWorker
from tests.service.image_model import IMAGE_MODEL, image_worker
from tests.service.judged import Judged
from tests.service.page.looks import is_wider_than_a_phone, violations
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.job import JobKey
from workers.measurement.fidelity import psnr, ssim
from workers.media.mp4 import read_mp4


@pytest.fixture
def ids(address: str, worker: FakeWorker) -> list[str]:
    """Uncached, and with two `sf`, each further from the first."""
    bodies = [{"prompt": "a wave", "seed": 5, "sf": sf} for sf in (50, 10, 6)]
    made = [httpx.post(f"{address}/v1/videos", json=body).json()["id"] for body in bodies]
    Judged(worker).finish_all(3)
    return made


@contextmanager
def finishing(judged: Judged) -> Iterator[None]:
    """Completes one job after the other in a thread."""
    stop, worker = threading.Event(), judged.worker

    def work() -> None:
        level = 0
        while not stop.is_set():
            if worker.queue.inspection.depth(worker.model).queued:
                judged.finish(level)
                level += 1
            else:
                worker.queue.leases.wait([worker.model], 0.2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def number(text: str | None) -> float:
    found = re.search(r"[\d.]+", text or "")
    assert found, text
    return float(found[0])


def times_of(page: Page) -> list[float]:
    times: list[float] = page.locator("figure video").evaluate_all("all => all.map((each) => each.currentTime)")
    return times


def test_finished_videos_are_measured_frame_by_frame(
    page: Page, address: str, ids: list[str], settings: Settings, tmp_path: Path
) -> None:
    page.goto(f"{address}/#compare")
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    page.get_by_role("link", name="a wave").click()
    expect(page.get_by_text("All 33 frames compared")).to_be_visible(timeout=200_000)
    for each in ids:
        (tmp_path / each).write_bytes(httpx.get(f"{address}/v1/videos/{each}/content").content)
    uncached, *others = (read_mp4(tmp_path / each) for each in ids)
    rows = page.get_by_role("region", name="Time and fidelity").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("uncached, 50 steps")
    for row, video in zip((rows.nth(1), rows.nth(2)), others, strict=True):
        assert number(row.locator("td").nth(4).text_content()) == pytest.approx(psnr(video, uncached), abs=0.5)
        assert number(row.locator("td").nth(5).text_content()) == pytest.approx(ssim(video, uncached), abs=0.02)
    curve = page.get_by_role("img", name="PSNR in dB by frame, against uncached, 50 steps")
    path = curve.locator(".s0 path").get_attribute("d")
    assert path is not None and len(re.findall("[ML]", path)) == 33
    assert violations(page) == [] and not is_wider_than_a_phone(page)


#: Frames of a video by the page's own reader.
READ = """async ({module, path, indices, format}) => {
  const {frameReader} = await import(module);
  const file = await (await fetch(path)).blob();
  const reader = await frameReader(URL.createObjectURL(file), format);
  const read = [];
  for (const index of indices) read.push([...(await reader.read(index))]);
  return read;
}"""


def test_the_frames_that_are_compared_are_those_of_the_file(
    page: Page, address: str, ids: list[str], tmp_path: Path
) -> None:
    page.goto(address)
    start = page.locator("script[type=module]").get_attribute("src") or ""
    path, indices = f"/v1/videos/{ids[0]}/content", [0, 1, 17, 32, 5]
    asked = {
        "module": f"{address}/{start.removesuffix('main.js')}compare/frames.js",
        "path": path,
        "indices": indices,
        "format": {"image": False, "fps": 16, "width": 96, "height": 64},
    }
    (file := tmp_path / "video.mp4").write_bytes(httpx.get(f"{address}{path}").content)
    decoded = read_mp4(file).astype(float)
    for index, shown in zip(indices, page.evaluate(READ, asked), strict=True):
        picture = np.reshape(shown, (64, 96, 4))[..., :3]
        errors = np.abs(decoded - picture).mean(axis=(1, 2, 3))
        assert errors.argmin() == index and errors[index] < 2, f"frame {index} looks like {errors.argmin()}"


def test_it_steps_exactly_and_shows_where_they_differ(page: Page, address: str, ids: list[str]) -> None:
    page.goto(f"{address}/#compare/{','.join(ids)}")
    following = page.get_by_role("button", name="Next frame")
    for _ in range(3):
        following.click()
    expect(page.get_by_text("frame 4 of 33")).to_be_visible()
    assert times_of(page) == [pytest.approx(3.5 / 16)] * 3
    page.get_by_label("Show").select_option("difference")
    sums = "map => map.getContext('2d').getImageData(0, 0, map.width, map.height).data.reduce((a, b) => a + b)"
    canvas = page.get_by_role("img", name="Difference map")
    beside = page.get_by_label("uncached, 50 steps beside")

    def third_is_further() -> bool:
        found = []
        for label in ("sf 10, 50 steps", "sf 6, 50 steps"):
            beside.select_option(label=label)
            found.append(canvas.evaluate(sums))
        return bool(found[0] < found[1])

    wait_until(third_is_further)  # once all have reached the frame
    assert violations(page) == []
    page.get_by_label("Show").select_option("swipe")
    divider = page.get_by_label("Divider, in percent")
    divider.fill("20")
    clipped = page.locator("figure.over").evaluate("figure => getComputedStyle(figure).clipPath")
    assert clipped == "inset(0px 0px 0px 20%)"
    assert violations(page) == [] and not is_wider_than_a_phone(page)


def test_they_play_together_by_the_keyboard(page: Page, address: str, ids: list[str]) -> None:
    page.goto(f"{address}/#compare/{','.join(ids)}")
    expect(page.get_by_text("All 33 frames compared")).to_be_visible(timeout=200_000)
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("frame 2 of 33")).to_be_visible()
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    wait_until(lambda: max(times_of(page)) > 0.5)
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    wait_until(lambda: len(set(times_of(page))) == 1)


#: What the page sets beside each other: each result, the most fully computed one of its scene, and their settings.
PAIRED = """async ({module, jobs}) => {
  const {scenes} = await import(module);
  return scenes(jobs).flatMap(({results: [baseline, ...others]}) =>
    others.map(({id, setting}) => [id, baseline.id, setting, baseline.setting]));
}"""


class TestWithFirstFrames:
    @pytest.fixture
    def settings(self, tmp_path: Path, redis_url: str) -> Settings:
        return settings_in(tmp_path, redis_url, *first_frames.MODELS)

    def test_the_page_pairs_results_as_a_study_does(self, page: Page, address: str, worker: FakeWorker) -> None:
        judged = Judged(replace(worker, model="either"))
        pictures, knobs = (None, a_file(color="red"), a_file(color="blue")), ({"sf": 50}, {"sf": 10}, {"sf": 6})
        asked = [(picture, knob) for picture in pictures for knob in (*knobs, {"target_speedup": 4})]
        asked += [(None, {"sf": 50, "negative_prompt": "fog"}), (None, {"sf": 6, "negative_prompt": "fog"})]
        for picture, knob in asked:
            fields = {"prompt": "a wave", "seed": 5, "model": "either", **knob}
            parts: dict[str, Any] = {name: (None, str(value)) for name, value in fields.items()}
            if picture:
                parts["input_reference"] = ("frame.png", picture, "image/png")
            httpx.post(f"{address}/v1/videos", files=parts).raise_for_status()
            judged.finish()
        jobs = httpx.get(f"{address}/v1/videos", params={"limit": 100}).json()["data"]
        page.goto(address)
        start = page.locator("script[type=module]").get_attribute("src") or ""
        module = f"{address}/{start.removesuffix('main.js')}scenes.js"
        shown = page.evaluate(PAIRED, {"module": module, "jobs": jobs})
        records = [worker.queue.jobs.get(JobKey("default", job["id"])) for job in jobs]
        wanted = [[pair.first, pair.second, pair.setting, pair.baseline] for pair in paired(records)]
        assert len(wanted) == 10 and sorted(shown) == sorted(wanted)
        page.goto(f"{address}/#compare")
        rows = page.get_by_role("region", name="Finished results").locator("tbody tr")
        expect(rows).to_have_count(4)
        expect(rows.filter(has_text="from the picture")).to_have_count(2)
        page.get_by_label("Model").select_option("animator")
        expect(page.get_by_text("The first frame is missing.")).to_be_visible()
        make = page.get_by_role("button", name="Make and compare")
        expect(make).to_be_disabled()
        page.locator("input[type=file]").set_input_files({"name": "f.png", "mimeType": "image/png", "buffer": a_file()})
        expect(make).to_be_enabled()
        page.goto(f"{address}/#compare/{jobs[0]['id']},{jobs[-1]['id']}")
        expect(page.get_by_text("These are not results of one request")).to_be_visible()


def test_one_prompt_is_made_at_the_settings_that_were_ticked(
    page: Page, address: str, worker: FakeWorker, queue: Queue
) -> None:
    page.goto(f"{address}/#compare")
    page.get_by_label("Prompt").fill("a wave")
    page.get_by_label("Seed").fill("9")
    with finishing(Judged(worker)):
        page.get_by_role("button", name="Make and compare").click()
        expect(page.get_by_text("All 33 frames compared")).to_be_visible(timeout=200_000)
    videos = httpx.get(f"{address}/v1/videos").json()["data"]
    assert sorted((video["sf"], video["seed"], video["prompt"]) for video in videos) == [
        (10, 9, "a wave"), (50, 9, "a wave"),
    ]  # fmt: skip


def test_images_are_compared_too(page: Page, address: str, settings: Settings, queue: Queue) -> None:
    page.goto(f"{address}/#compare")
    page.get_by_label("Model").select_option(IMAGE_MODEL)
    page.get_by_label("Prompt").fill("a square")
    with finishing(Judged(image_worker(settings, queue))):
        page.get_by_role("button", name="Make and compare").click()
        rows = page.get_by_role("region", name="Time and fidelity").locator("tbody tr")
        expect(rows.nth(1)).to_contain_text("dB", timeout=60_000)
    expect(page.get_by_role("button", name="Play")).to_have_count(0)
    assert violations(page) == []
    page.goto(f"{address}/#compare")
    page.get_by_role("link", name="a square").click()
    expect(page.locator("figure img")).to_have_count(2)
    page.goto(f"{address}/#blind")
    expect(page.get_by_text("1 pair of 2 images")).to_be_visible()


def test_what_failed_is_told_and_the_rest_compared(
    page: Page, address: str, ids: list[str], worker: FakeWorker
) -> None:
    made = httpx.post(f"{address}/v1/videos", json={"prompt": "a wave", "seed": 5, "sf": 4}).json()["id"]
    worker.fail(worker.claim(), "generation_failed", "the model refused")
    page.goto(f"{address}/#compare/{ids[0]},{ids[1]},{made}")
    expect(page.get_by_role("alert")).to_contain_text("sf 4: the model refused")
    expect(page.locator("figure video")).to_have_count(2)


def test_an_address_that_names_too_many_is_told(page: Page, address: str) -> None:
    page.goto(f"{address}/#compare/a,b,c,d,e")
    expect(page.get_by_text("names two to 4 results, not 5")).to_be_visible()


def test_who_does_not_want_to_wait_cancels_what_is_not_made(page: Page, address: str, ids: list[str]) -> None:
    waiting = httpx.post(f"{address}/v1/videos", json={"prompt": "a wave", "seed": 5, "sf": 4}).json()["id"]
    page.goto(f"{address}/#compare/{ids[0]},{ids[1]},{waiting}")
    page.get_by_role("button", name="Cancel those that are not made yet").click()
    expect(page.get_by_role("alert")).to_contain_text("sf 4: The job was cancelled.")
    expect(page.locator("figure video")).to_have_count(2)
