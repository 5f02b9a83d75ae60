"""What a good request becomes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.queues import Queue
from tests.service.calls import create
from workers.jobs.job import JobKey, Priority

FULL = {
    "prompt": "a red ball rises",
    "model": "wan-test",
    "size": "128x96",
    "frames": 17,
    "fps": 8,
    "steps": 40,
    "sf": 12,
    "guidance": 4.5,
    "flow_shift": 3.0,
    "seed": 2**31 + 1,
    "negative_prompt": "",
    "priority": "high",
    "metadata": {"team": "video", "ticket": "7"},
}


def test_a_new_video_is_queued_with_all_that_was_asked(client: TestClient, queue: Queue) -> None:
    video = create(client, **FULL)
    for name, value in FULL.items():
        assert video[name] == value
    assert (video["object"], video["status"], video["state"], video["progress"]) == ("video", "queued", "queued", 0)
    assert (video["seconds"], video["queue_position"], video["attempts"]) == ("2.125", 0, 0)
    job = queue.jobs.get(JobKey("default", video["id"]))
    assert (job.priority, job.metadata) == (Priority.HIGH, FULL["metadata"])
    assert (job.request.width, job.request.height, job.request.seed) == (128, 96, FULL["seed"])


def test_every_key_of_the_shape_is_present_in_a_new_video(client: TestClient) -> None:
    video = create(client)
    for key in ("completed_at", "expires_at", "remixed_from_video_id", "error", "speedup", "eta_seconds", "worker"):
        assert video[key] is None
    assert set(video["timings"]) == {"queued", "encode", "denoise", "decode", "encode_video", "upload"}
    assert isinstance(video["created_at"], int)


def test_what_is_left_out_or_null_gets_the_default_of_the_model(client: TestClient) -> None:
    for video in (create(client), create(client, model=None, size=None, sf=None, priority=None, metadata=None)):
        assert (video["model"], video["size"], video["frames"], video["fps"]) == ("wan-test", "96x64", 33, 16)
        assert (video["steps"], video["sf"], video["guidance"], video["flow_shift"]) == (50, 10, 5.0, 1.0)
        assert (video["negative_prompt"], video["priority"], video["metadata"]) == ("blurry", "normal", {})


def test_a_form_gives_the_same_video_as_json(client: TestClient) -> None:
    flat = {name: str(value) for name, value in FULL.items() if name != "metadata"}
    form = flat | {"metadata[team]": "video", "metadata[ticket]": "7"}
    response = client.post("/v1/videos", files={name: (None, value) for name, value in form.items()})
    assert response.status_code == 200, response.text
    for name, value in FULL.items():
        assert response.json()[name] == value


def test_the_seed_is_drawn_when_absent_and_told(client: TestClient, queue: Queue) -> None:
    first, second = create(client), create(client)
    assert first["seed"] != second["seed"]
    assert queue.jobs.get(JobKey("default", first["id"])).request.seed == first["seed"] < 2**32


@pytest.mark.parametrize(
    ("steps", "sf", "expected"),
    [
        (50, None, 10),
        (6, None, 6),
        (1, None, 2),
        (1, 2, 2),
        (50, 2, 2),
        (50, 50, 50),
        (None, 50, 50),
        (30, "12", 12),
    ],
)
def test_sf_is_what_was_asked_or_the_default_within_the_steps(
    client: TestClient, steps: int | None, sf: int | str | None, expected: int
) -> None:
    assert create(client, steps=steps, sf=sf)["sf"] == expected


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"),
    [(2, 16, 33), ("2", 16, 33), (2.0, None, 33), ("0.01", 16, 1), (1, 8, 9), (3, 16, 49), (3.0625, 16, 49)],
)
def test_seconds_become_the_nearest_frame_count_of_the_family(
    client: TestClient, seconds: Any, fps: int | None, frames: int
) -> None:
    video = create(client, seconds=seconds, fps=fps)
    assert video["frames"] == frames
    assert float(video["seconds"]) == frames / (fps or 16)


def test_a_prompt_may_have_any_characters_and_comes_back_as_it_was(client: TestClient) -> None:
    prompt = " 一个红球 🎈\n\u0000 \t<b>&amp;"
    assert create(client, prompt=prompt)["prompt"] == prompt
    assert client.post("/v1/videos", files={"prompt": (None, prompt)}).json()["prompt"] == prompt


def test_jobs_start_in_the_order_of_their_priority(client: TestClient) -> None:
    low, normal = create(client, priority="low"), create(client)
    high = create(client, priority="high")
    ids = [video["id"] for video in (high, normal, low)]
    assert [client.get(f"/v1/videos/{id}").json()["queue_position"] for id in ids] == [0, 1, 2]


def test_create_tells_when_to_ask_again(client: TestClient) -> None:
    response = client.post("/v1/videos", json={"prompt": "a red ball"})
    assert response.headers["openai-poll-after-ms"] == "1000"
