"""The gallery, in a browser: what is listed, what the filters leave, what the buttons do."""

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from service.settings import Settings
from tests.queues import Queue
from tests.service.image_model import IMAGE_MODEL, live_image_worker
from tests.service.page.films import FilmWorker
from tests.service.page.looks import is_wider_than_a_phone, violations
from workers.jobs import keys
from workers.jobs.artifacts import ArtifactStore

PAGE = 24
LISTED_IN_TWO_CALLS = """async ({module, before, after, count}) => {
  const {listing} = await import(module);
  let jobs = before;
  const get = async (path, {query: {limit, after}}) => {
    const all = jobs.filter(({id}) => id.startsWith(path.slice(3, -1)));
    const data = all.filter(({id}) => !after || id < after).slice(0, limit);
    return {data, has_more: Boolean(data.length) && data.at(-1) !== all.at(-1)};
  };
  const pages = listing({get}, {limit: count});
  const first = await pages.next(count);
  jobs = after;
  const second = await pages.next(count);
  return [first, second].map((found) => found.map(({id, status}) => `${id} ${status}`)).concat(pages.over);
}"""

LISTED_WHERE_A_CALL_FAILS = """async ({module}) => {
  const {listing} = await import(module);
  const [video, image] = [{id: "video_3", created_at: 3}, {id: "image_2", created_at: 2}];
  let status = "queued";
  let fails = true;
  const get = async (path, {query: {after}}) => {
    if (path === "v1/images") return {data: after ? [] : [{...image, status}], has_more: false};
    if (after && fails) throw new Error("unreachable");
    return {data: after ? [] : [{...video, status}], has_more: !after};
  };
  const pages = listing({get}, {limit: 1});
  const failure = await pages.next(2).catch(({message}) => message);
  [status, fails] = ["completed", false];
  const found = await pages.next(2);
  return [failure, found.map(({id, status}) => `${id} ${status}`), pages.over];
}"""
LISTED_WITH_AN_EMPTY_PAGE = """async ({module}) => {
  const {listing} = await import(module);
  let calls = 0;
  const get = async () => {
    if (++calls > 9) throw new Error("asked for without end");
    return {data: [], has_more: true};
  };
  const pages = listing({get}, {media: ["video"], limit: 1});
  return [await pages.next(1), calls, pages.over];
}"""
ALL_IN_ONE_SECOND = """(() => {
  const {parse} = JSON;
  const {json} = Response.prototype;
  const told = (data) => {
    for (const job of [data, ...(data?.data ?? [])]) if (job?.created_at) job.created_at = 1;
    return data;
  };
  JSON.parse = (text, ...others) => told(parse(text, ...others));
  Response.prototype.json = async function () { return told(await json.call(this)); };
})()"""


@pytest.fixture
def worker(settings: Settings, queue: Queue) -> FilmWorker:
    return FilmWorker(queue, ArtifactStore(settings.artifacts))


def make(address: str, prompt: str, **fields: object) -> str:
    made: str = httpx.post(f"{address}/v1/videos", json={"prompt": prompt, **fields}).raise_for_status().json()["id"]
    return made


def test_own_videos_are_listed_filtered_and_deleted(page: Page, address: str, worker: FilmWorker) -> None:
    made = make(address, "a red ball")
    worker.run_one()
    make(address, "a blue ball")
    page.goto(f"{address}/#gallery")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("a blue ball")
    expect(cards.nth(1).locator("video")).to_be_visible()
    assert violations(page) == [] and not is_wider_than_a_phone(page)
    page.get_by_label("Status").select_option("completed")
    expect(cards).to_have_count(1)
    cards.get_by_text("Settings and actions").click()
    assert violations(page) == []
    cards.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Leave it").click()
    assert httpx.get(f"{address}/v1/videos/{made}").status_code == 200
    cards.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(cards).to_have_count(0)
    assert httpx.get(f"{address}/v1/videos/{made}").status_code == 404


def test_a_video_goes_on_in_the_gallery_while_it_is_looked_at(page: Page, address: str, worker: FilmWorker) -> None:
    make(address, "a red ball")
    make(address, "a blue ball")
    page.goto(f"{address}/#gallery")
    badges, cards = page.locator(".badge"), page.get_by_role("article")
    expect(badges).to_have_text(["queued", "queued"])
    cards.nth(1).get_by_role("link", name="a red ball", exact=True).focus()
    worker.run_one()
    expect(badges).to_have_text(["queued", "completed"])
    expect(cards.nth(1).locator("video")).to_be_visible()
    expect(cards.nth(1).get_by_role("link", name="a red ball", exact=True)).to_be_focused()
    page.get_by_label("Status").select_option("queued")
    expect(cards).to_have_count(1)
    worker.run_one()
    expect(page.get_by_text("Nothing here.")).to_be_visible()
    expect(cards).to_have_count(0)


def test_what_comes_to_match_a_filter_takes_its_place_by_time(page: Page, address: str, worker: FilmWorker) -> None:
    older, newer = make(address, "a red ball"), make(address, "a blue ball", priority="high")
    made_at = httpx.get(f"{address}/v1/videos/{older}").json()["created_at"]
    worker.queue.connection.commands.hset(keys.job(older), "created_at", made_at - 60)  # the page knows whole seconds
    worker.run_one()
    page.goto(f"{address}/#gallery?status=completed")
    screens = page.get_by_role("article").locator("a.screen")
    expect(screens).to_have_count(1)
    worker.run_one()
    expect(screens).to_have_count(2)
    assert [screen.get_attribute("href") for screen in screens.all()] == [f"#watch/{newer}", f"#watch/{older}"]


def test_what_was_read_before_takes_nothing_back_that_was_heard_since(
    page: Page, address: str, worker: FilmWorker
) -> None:
    make(address, "a red ball")
    deleted = make(address, "a blue ball")
    listed = httpx.get(f"{address}/v1/videos").json()
    catching_up, held = "**/v1/videos?*limit=100*", list[Route]()
    page.route(catching_up, lambda route: held.append(route))
    badges = page.locator(".badge")
    with page.expect_request(catching_up):
        page.goto(f"{address}/#gallery")
    expect(badges).to_have_text(["queued", "queued"])
    worker.run_one()
    httpx.delete(f"{address}/v1/videos/{deleted}")
    expect(badges).to_have_text(["completed"])
    [route] = held
    blue, red = listed["data"]
    last = blue | {"id": f"{deleted[:-32]}{'0' * 32}", "created_at": blue["created_at"] + 1}
    route.fulfill(json=listed | {"data": [last, blue, red]})
    expect(badges).to_have_text(["queued", "completed"])


def test_images_stand_among_the_videos_and_are_made_again(page: Page, address: str, settings: Settings) -> None:
    make(address, "a red ball")
    asked = {
        "prompt": "a blue ball",
        "seed": 5,
        "sf": 12,
        "guidance": 2.5,
        "true_cfg_scale": 2,
        "negative_prompt": "fog",
    }
    with live_image_worker(settings):
        httpx.post(f"{address}/v1/images/generations", json=asked).raise_for_status()
        page.goto(f"{address}/#gallery")
        cards = page.get_by_role("article")
        expect(cards).to_have_count(2)
        page.get_by_label("Model").select_option(IMAGE_MODEL)
        expect(cards).to_have_count(1)
        expect(cards).to_contain_text("a blue ball")
        cards.get_by_text("Settings and actions").click()
        assert violations(page) == [] and not is_wider_than_a_phone(page)
        cards.get_by_role("button", name="Re-run").click()
        expect(page.get_by_text("The image is made.")).to_be_visible()
        expect(cards).to_have_count(2)
        expect(page.locator(".badge")).to_have_text(["completed", "completed"])
    made = httpx.get(f"{address}/v1/images").json()["data"]
    assert [{name: each[name] for name in asked} for each in made] == [asked, asked]
    cards.nth(0).get_by_role("link", name="a blue ball").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a blue ball")
    expect(page.locator(".settings")).to_contain_text("True CFG scale")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(cards).to_have_count(2)
    assert len(httpx.get(f"{address}/v1/images").json()["data"]) == 1


def test_more_are_shown_page_by_page(page: Page, address: str) -> None:
    for number in range(PAGE + 1):
        make(address, f"ball {number}")
    page.goto(f"{address}/#gallery")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(PAGE)
    page.get_by_role("button", name="Show more").click()
    expect(cards).to_have_count(PAGE + 1)
    expect(cards.last).to_contain_text("ball 0")
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_jobs_of_one_second_stand_as_the_list_has_them(page: Page, address: str) -> None:
    page.add_init_script(ALL_IN_ONE_SECOND)
    for number in range(PAGE + 1):
        make(address, f"ball {number}")
    page.goto(f"{address}/#gallery")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(PAGE)
    for name in ("later", "last"):
        make(address, f"ball of {name}")
        expect(cards.first).to_contain_text(f"ball of {name}")
    page.get_by_role("button", name="Show more").click()
    expect(cards).to_have_count(PAGE + 3)
    expect(cards.last).to_contain_text("ball 0")


def test_the_button_for_more_is_the_same_one_while_jobs_come(page: Page, address: str) -> None:
    for number in range(PAGE + 1):
        make(address, f"ball {number}")
    page.goto(f"{address}/#gallery")
    button, cards = page.get_by_role("button", name="Show more"), page.get_by_role("article")
    button.focus()
    make(address, "ball of later")
    expect(cards.first).to_contain_text("ball of later")
    expect(button).to_be_focused()
    button.press("Enter")
    expect(cards).to_have_count(PAGE + 2)


def test_what_follows_is_listed_as_it_stands_when_it_is_asked_for(page: Page, modules: str) -> None:
    def job(media: str, at: int, status: str) -> dict[str, object]:
        return {"id": f"{media}_{at}", "created_at": at, "status": status}

    before = [
        job("image", 5, "queued"),
        job("video", 4, "queued"),
        job("video", 3, "queued"),
        job("image", 2, "queued"),
    ]
    after = [*before[:2], job("video", 3, "completed"), job("image", 1, "completed")]
    asked = {"module": f"{modules}listing.js", "before": before, "after": after, "count": 2}
    first, second, is_over = page.evaluate(LISTED_IN_TWO_CALLS, asked)
    assert first == ["image_5 queued", "video_4 queued"]
    assert second == ["video_3 completed", "image_1 completed"] and is_over


def test_where_a_call_fails_nothing_counts_as_given_and_all_is_read_anew(page: Page, modules: str) -> None:
    failure, found, is_over = page.evaluate(LISTED_WHERE_A_CALL_FAILS, {"module": f"{modules}listing.js"})
    assert failure == "unreachable"
    assert found == ["video_3 completed", "image_2 completed"] and is_over


def test_a_page_without_jobs_is_the_last_that_is_asked_for(page: Page, modules: str) -> None:
    assert page.evaluate(LISTED_WITH_AN_EMPTY_PAGE, {"module": f"{modules}listing.js"}) == [[], 1, True]
