"""Streams of what happens to jobs, from a service of its own."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.embedded_redis import EmbeddedRedis
from service.dependencies import Resources
from service.frames import Frame
from service.settings import Settings
from service.watch import MOST_WAITING, Watch
from tests.queues import Queue
from tests.service.accounts import a_key, accounts_of, bearer, with_keys
from tests.service.fake_worker import FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, image_worker
from tests.service.serving import served
from tests.service.settings import settings_in
from tests.service.streams import Event, story, stream
from tests.waiting import wait_until
from tests.workers.factories import a_report, a_request, an_artifact, submit
from workers.jobs.job import JobKey, Misprediction, Priority, new_job_id
from workers.jobs.leases import StepDetails
from workers.jobs.live import LiveEvent


@pytest.fixture(scope="module")
def settings(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("service")
    settings = settings_in(folder, redis_server.url, *MODELS)
    few = {"max_streams": 4, "max_streams_per_account": 3, "heartbeat_seconds": 0.2}
    return with_keys(settings, folder).model_copy(update=few | {"metrics_access": "open"})


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    with served(settings) as service:
        yield service.address


@pytest.fixture
def key(settings: Settings, redis_url: str) -> dict[str, str]:
    """Of an account, as a header."""
    return bearer(a_key(settings))


def made(address: str, key: dict[str, str], **fields: object) -> str:
    answer = httpx.post(f"{address}/v1/videos", json={"prompt": "a red ball", "steps": 4} | fields, headers=key)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def shown(address: str, key: dict[str, str], video_id: str) -> dict[str, object]:
    video: dict[str, object] = httpx.get(f"{address}/v1/videos/{video_id}", headers=key).json()
    return video


def told(events: Iterator[Event], count: int) -> list[Event]:
    """The next so many, comments left out."""
    named = (event for event in events if event.name)
    return [next(named) for _ in range(count)]


def test_a_video_is_told_of_from_how_it_stands_to_its_end(
    address: str, key: dict[str, str], worker: FakeWorker
) -> None:
    video_id = made(address, key)
    with stream(address, f"/v1/videos/{video_id}/events", **key) as events:
        [first] = told(events, 1)
        assert (first.name, first.data["queue_position"]) == ("video", 0)
        attempt = worker.claim()
        shown_first = [Misprediction(step=2, expected=0.01, measured=0.03)]
        worker.queue.leases.beat(attempt, "denoise", 3, StepDetails("FPF", 0.5, shown_first))
        running = told(events, 5)
        now = shown(address, key, video_id)
        assert now["decisions"] == "FPF" and now["eta_seconds"] is not None
        worker.queue.leases.beat(attempt, "decode", 4, StepDetails("FPFF", 0.5))
        rest = told(events, 2)
        worker.complete(attempt)
        rest += [event for event in events if event.name]
    assert story([first, *running, *rest]) == [
        "video queued", "video running", "video running", "1 full", "2 predicted", "3 full", "4 full", "video running",
        "video completed",
    ]  # fmt: skip
    assert running[1].data["worker"] == "worker-1" and rest[1].data["progress"] == 99
    steps = [event.data for event in [*running, *rest] if event.name == "step"]
    assert [(step["id"], step["stage"], step["steps"], step["progress"]) for step in steps] == [
        (video_id, "denoise", 4, progress) for progress in (25, 50, 75, 99)
    ]
    assert [(step["expected_error"], step["measured_error"]) for step in steps] == [
        (None, None), (None, None), (0.01, 0.03), (None, None),
    ]  # fmt: skip
    assert 0 < now["eta_seconds"] <= steps[0]["eta_seconds"]
    assert rest[-1].data == shown(address, key, video_id), "as GET gives it"
    ids = [event.id for event in [*running, *rest] if event.id]
    assert len(set(ids)) == len(ids) == 6, "of steps that come together the last has one"


def test_who_reads_late_tells_the_end_once_and_behind_the_steps_before_it(settings: Settings, queue: Queue) -> None:
    job = submit(queue)
    attempt = queue.leases.claim([job.request.model], "w")
    assert attempt is not None
    queue.leases.complete(attempt, an_artifact(), a_report())
    telling = Resources.open(settings).telling

    def told_of(**event: object) -> Frame | None:
        happened = LiveEvent.model_validate({"id": "1-0", "job_id": job.id, "tenant": job.tenant, **event})
        return asyncio.run(telling.of(happened))

    assert told_of(type="state", state="running") is None
    assert told_of(type="stage", stage="decode") is None
    step, end = told_of(type="step", step=4), told_of(type="state", state="completed")
    assert step is not None and not step.ends and end is not None and end.ends


def test_a_video_that_has_ended_is_told_of_once(address: str, key: dict[str, str], worker: FakeWorker) -> None:
    video_id = made(address, key)
    worker.run_one()
    with stream(address, f"/v1/videos/{video_id}/events", **key) as events:
        assert story(list(events)) == ["video completed"]


def test_who_was_cut_off_gets_what_was_missed_from_any_replica(
    address: str, key: dict[str, str], settings: Settings, worker: FakeWorker
) -> None:
    video_id = made(address, key)
    attempt = worker.claim()
    path, beat = f"/v1/videos/{video_id}/events", worker.queue.leases.beat
    with stream(address, path, **key) as events:
        told(events, 1)
        beat(attempt, "denoise", 1, StepDetails("F", 0.5))
        last = told(events, 2)[-1].id
    assert last
    beat(attempt, "denoise", 3, StepDetails("FPP", 0.5))
    with served(settings) as other, stream(other.address, path, last_event_id=last, **key) as events:
        assert story(told(events, 3)) == ["2 predicted", "3 predicted", "video running"]
        worker.complete(attempt)
        assert story(told(events, 1)) == ["video completed"]
        for known in (last, "0-0"):
            with stream(address, path, last_event_id=known, **key) as behind:
                assert story(list(behind))[-2:] == ["3 predicted", "video completed"], "and when it has ended meanwhile"


def test_all_jobs_of_an_account_are_told_of_together_and_no_others(
    address: str, key: dict[str, str], settings: Settings, worker: FakeWorker
) -> None:
    queue, first = worker.queue, made(address, key)
    with stream(address, "/v1/events", **key) as events:
        [standing] = told(events, 1)
        assert (standing.data["id"], standing.data["state"]) == (first, "queued")
        made(address, bearer(a_key(settings, "beta")))
        image = JobKey("acme", new_job_id(IMAGE_MODEL, "image"))
        request = a_request(model=IMAGE_MODEL)
        queue.jobs.submit(image, priority=Priority.NORMAL, request=request, metadata={})
        second = made(address, key)
        news = told(events, 2)
        assert [(event.name, event.data["id"]) for event in news] == [("image", image.job_id), ("video", second)]
        assert "frames" not in news[0].data and news[0].data["object"] == "image"
        httpx.delete(f"{address}/v1/videos/{second}", headers=key)
        [gone] = told(events, 1)
        assert (gone.name, gone.data) == ("deleted", {"id": second, "object": "video.deleted", "deleted": True})
    worker.run_one()
    image_worker(settings, queue).run_one()
    with stream(address, "/v1/events", last_event_id=standing.id or "", **key) as events:
        ended = [event for event in told(events, 4) if event.name != "step"]
        assert {(event.data["id"], event.data["state"]) for event in ended} == {
            (first, "completed"), (image.job_id, "completed"),
        }  # fmt: skip


def test_a_preview_is_sent_as_it_is_made_and_the_last_one_to_who_comes_later(
    address: str, key: dict[str, str], settings: Settings, worker: FakeWorker
) -> None:
    video_id = made(address, key)
    attempt = worker.claim()
    path, preview = f"/v1/videos/{video_id}/events", {"id": video_id, "step": 2, "image": "data:image/webp;base64,cA=="}
    with stream(address, path, **key) as events, stream(address, "/v1/events", **key) as all_events:
        assert story([*told(events, 1), *told(all_events, 1)]) == ["video running"] * 2
        worker.queue.leases.show(attempt, 2, b"p")
        for news in (told(events, 1), told(all_events, 1)):
            assert [(event.name, event.id, event.data) for event in news] == [("preview", None, preview)]
    with stream(address, path, **key) as events:
        assert [event.data for event in told(events, 2)][1] == preview
    worker.complete(attempt)
    with stream(address, path, **key) as events:
        assert [event.name for event in events] == ["video"]


def test_an_image_has_a_stream_of_its_own(address: str, key: dict[str, str], settings: Settings, queue: Queue) -> None:
    image = JobKey("acme", new_job_id(IMAGE_MODEL, "image"))
    queue.jobs.submit(image, priority=Priority.NORMAL, request=a_request(model=IMAGE_MODEL), metadata={})
    with stream(address, f"/v1/images/{image.job_id}/events", **key) as events:
        assert story(told(events, 1)) == ["image queued"]
        image_worker(settings, queue).run_one()
        assert story([event for event in events if event.name])[-1] == "image completed"
    assert httpx.get(f"{address}/v1/videos/{image.job_id}/events", headers=key).status_code == 404


def test_a_place_in_the_queue_is_told_when_it_changes(address: str, key: dict[str, str], worker: FakeWorker) -> None:
    made(address, key, prompt="another, as those that are the same share a place")
    video_id = made(address, key)
    with stream(address, f"/v1/videos/{video_id}/events", **key) as events:
        assert told(events, 1)[0].data["queue_position"] == 1
        worker.claim()
        [moved] = told(events, 1)
        assert (moved.data["queue_position"], moved.data["state"], moved.id) == (0, "queued", None)


def test_a_deleted_video_ends_its_stream(address: str, key: dict[str, str], worker: FakeWorker) -> None:
    video_id = made(address, key)
    with stream(address, f"/v1/videos/{video_id}/events", **key) as events:
        told(events, 1)
        httpx.delete(f"{address}/v1/videos/{video_id}", headers=key)
        assert [event.name for event in events if event.name] == ["deleted"]


def test_a_client_that_takes_nothing_loses_what_waits_and_that_is_counted() -> None:
    lost = list[None]()
    watch = Watch("acme", None, lambda _watch: None, lambda: lost.append(None))
    for number in range(2 * MOST_WAITING):
        watch.put(Frame("video_x", f"1-{number}", b""))
    assert len(lost) == 1
    assert asyncio.run(watch.news(0)) is None, "it is to be told how things stand"


def test_silence_is_filled_with_comments(address: str, key: dict[str, str]) -> None:
    with stream(address, "/v1/events", **key) as events:
        assert [next(events).name for _ in range(3)] == ["", "", ""]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/videos/{id}/events"])
@pytest.mark.parametrize("last", ["x", "1", "1-", "-1", "1-2-3", "9" * 30 + "-0", "1-0\u00fc"])
def test_what_was_no_events_id_is_refused(address: str, key: dict[str, str], path: str, last: str) -> None:
    path = path.replace("{id}", made(address, key))
    headers = key | {"last-event-id": last}
    answer = httpx.get(address + path, headers={name: value.encode("latin-1") for name, value in headers.items()})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Last-Event-ID")


def test_what_another_account_has_is_not_found(address: str, key: dict[str, str], settings: Settings) -> None:
    video_id, other = made(address, key), bearer(a_key(settings, "beta"))
    answers = [
        httpx.get(f"{address}/v1/videos/{each}/events", headers=other).json()["error"]["code"]
        for each in (video_id, "video_x", new_job_id("wan-test"))
    ]
    assert set(answers) == {"not_found"}


def test_a_key_that_is_revoked_ends_its_streams(address: str, settings: Settings) -> None:
    secret, accounts = a_key(settings), accounts_of(settings)
    with stream(address, "/v1/events", **bearer(secret)) as events:
        verified = accounts.verify(secret)
        assert verified is not None
        accounts.revoke(verified.id)
        *_, last = events
    assert (last.name, last.data["error"]["code"]) == ("error", "invalid_api_key")


def test_more_streams_than_an_account_may_have_or_all_together_are_refused_until_one_is_closed(
    address: str, key: dict[str, str], settings: Settings
) -> None:
    others = [bearer(a_key(settings, name)) for name in ("beta", "gamma")]

    def refusal(key: dict[str, str]) -> tuple[int, str, str]:
        answer = httpx.get(f"{address}/v1/events", headers=key)
        return answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]

    wait_until(lambda: "\nscalingcache_event_streams 0.0\n" in httpx.get(f"{address}/metrics").text)
    with stream(address, "/v1/events", **key), stream(address, "/v1/events", **key):
        with stream(address, "/v1/events", **key):
            assert refusal(key) == (429, "too_many_streams", "5")
            with stream(address, "/v1/events", **others[0]):
                assert refusal(others[1]) == (503, "overloaded", "5")
                assert "\nscalingcache_event_streams 4.0\n" in httpx.get(f"{address}/metrics").text
        wait_until(lambda: opens(address, key))


def opens(address: str, key: dict[str, str]) -> bool:
    with httpx.stream("GET", f"{address}/v1/events", headers=key) as response:
        return response.status_code == 200


def test_head_answers_without_a_stream(address: str, key: dict[str, str]) -> None:
    for path in ("/v1/events", f"/v1/videos/{made(address, key)}/events"):
        answer = httpx.head(address + path, headers=key)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")


def test_a_service_that_ends_ends_its_streams(settings: Settings, key: dict[str, str]) -> None:
    with served(settings) as service, stream(service.address, "/v1/events", **key) as events:
        next(events)
        status, lines = service.end()
        assert [event.name for event in events if event.name] == []
    assert status == -signal.SIGTERM and not [line for line in lines if "exceeded" in line["event"]]
