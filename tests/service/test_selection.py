"""Lists that show some videos alone, and many videos cancelled by one call."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import MODEL, FakeWorker
from tests.service.first_frames import MODELS
from tests.service.settings import settings_in
from workers.jobs import walk
from workers.jobs.job import JobState


@pytest.fixture
def settings(tmp_path: Any, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def listed(client: TestClient, **query: Any) -> list[str]:
    """All pages."""
    ids: list[str] = []
    while True:
        answer = client.get("/v1/videos", params=query | ({"after": ids[-1]} if ids else {}))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [video["id"] for video in page["data"]]
        if not page["has_more"]:
            return ids
        assert page["data"], "a page that is not the last one has videos"


@pytest.fixture
def videos(client: TestClient, worker: FakeWorker) -> dict[str, str]:
    """One in each status, by its name; the oldest first."""
    made = {
        "completed": create(client, metadata={"team": "a", "kind": "x"})["id"],
        "failed": create(client, metadata={"team": "b"})["id"],
        "in_progress": create(client, metadata={"team": "a"})["id"],
    }
    worker.run_one()
    worker.fail(worker.claim(), "generation_failed", "it failed")
    worker.claim()
    made["cancelled"] = create(client)["id"]
    client.post(f"/v1/videos/{made['cancelled']}/cancel")
    made["queued"] = create(client, model="either", metadata={"team": "b"})["id"]
    return made


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status": "completed"}, ["completed"]),
        ({"status": "failed"}, ["cancelled", "failed"]),
        ({"status": "failed", "order": "asc"}, ["failed", "cancelled"]),
        ({"status": "in_progress"}, ["in_progress"]),
        ({"status": "queued"}, ["queued"]),
        ({"model": "either"}, ["queued"]),
        ({"model": "animator"}, []),
        ({"metadata[team]": "a"}, ["in_progress", "completed"]),
        ({"metadata[team]": "a", "metadata[kind]": "x"}, ["completed"]),
        ({"metadata[team]": "b", "status": "failed"}, ["failed"]),
        ({"metadata[team]": "A"}, []),
        ({"metadata[none]": ""}, []),
    ],
)
def test_a_list_shows_what_is_asked_for(
    client: TestClient, videos: dict[str, str], query: dict[str, str], names: list[str]
) -> None:
    assert listed(client, **query) == [videos[name] for name in names]
    assert listed(client, limit=1, **query) == [videos[name] for name in names]


def test_what_is_looked_for_is_found_behind_many_others(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "LOOKED_AT", 3)
    wanted = []
    for number in range(20):
        made = create(client, model=MODEL if number % 2 else "either", metadata={"n": "7" if number % 7 == 0 else "0"})
        wanted += [made["id"]] if number % 7 == 0 else []
    for limit in (1, 2, 20):
        assert listed(client, limit=limit, **{"metadata[n]": "7"}) == wanted[::-1]
        assert listed(client, limit=limit, order="asc", **{"metadata[n]": "7"}) == wanted


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"status": "cancelled"}, "status"),
        ({"model": "sora"}, "model"),
        ({"stauts": "failed"}, "stauts"),
        ({"metadata": "a"}, "metadata"),
        ({"metadata[]": "a"}, "metadata[]"),
    ],
)
def test_a_filter_that_is_none_is_refused_by_name(client: TestClient, query: dict[str, str], param: str) -> None:
    answer = client.get("/v1/videos", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def cancel(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/videos:cancel", json=body)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    assert done.pop("object") == "video.cancellation"
    return done


def test_videos_are_cancelled_by_their_ids(client: TestClient, videos: dict[str, str]) -> None:
    ids = [videos["queued"], videos["in_progress"], videos["completed"], "video_wan-test_" + "0" * 32, "x"]
    assert cancel(client, ids=ids + ids) == {
        "cancelled": ids[:2],
        "ended": ids[2:3],
        "not_found": ids[3:],
        "has_more": False,
    }
    assert client.get(f"/v1/videos/{videos['queued']}").json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"all": True}, ["queued", "in_progress"]),
        ({"status": "queued"}, ["queued"]),
        ({"status": "in_progress"}, ["in_progress"]),
        ({"model": "either"}, ["queued"]),
        ({"metadata": {"team": "a"}}, ["in_progress"]),
        ({"metadata": {"team": "a"}, "status": "queued"}, []),
    ],
)
def test_videos_are_cancelled_by_what_they_are_like(
    client: TestClient, videos: dict[str, str], queue: Queue, body: dict[str, Any], names: list[str]
) -> None:
    done = cancel(client, **body)
    assert done == {"cancelled": [videos[name] for name in names], "ended": [], "not_found": [], "has_more": False}
    shown = {name: client.get(f"/v1/videos/{video}").json()["state"] for name, video in videos.items()}
    assert (shown["queued"] == JobState.CANCELLED) == ("queued" in names)
    assert shown["completed"] == "completed" and shown["failed"] == "failed"


def test_more_than_one_call_cancels_are_told_of(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cancellation.MOST_CANCELLED", 4)
    monkeypatch.setattr("service.cancellation.PAGE", 2)
    for _ in range(5):
        create(client)
    first = cancel(client, all=True)
    assert (len(first["cancelled"]), first["has_more"]) == (4, True)
    rest = cancel(client, all=True)
    assert (len(rest["cancelled"]), rest["has_more"]) == (1, False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "ids"),
        ({"all": False}, "ids"),
        ({"ids": []}, "ids"),
        ({"ids": ["x"] * 1001}, "ids"),
        ({"ids": ["x"], "status": "queued"}, "status"),
        ({"ids": ["x"], "all": True}, "all"),
        ({"status": "completed"}, "status"),
        ({"model": "sora"}, "model"),
        ({"metadata": {}}, "metadata"),
        ({"everything": True}, "everything"),
    ],
)
def test_a_call_that_does_not_say_which_is_refused_by_name(
    client: TestClient, videos: dict[str, str], body: dict[str, Any], param: str
) -> None:
    answer = client.post("/v1/videos:cancel", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert client.get(f"/v1/videos/{videos['queued']}").json()["state"] == "queued"
