"""The table of a preference study, from the API of a service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from bench.preference import get, main, newest, table, verdict
from service.app import create_app
from tests.queues import Queue
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from tests.service.judged import Judged
from tests.service.settings import settings_in
from workers.jobs.artifacts import ArtifactStore


@pytest.fixture
def client(tmp_path: Path, redis_url: str) -> Iterator[TestClient]:
    """With two finished videos that differ in `sf`."""
    settings = settings_in(tmp_path, redis_url)
    with TestClient(create_app(settings)) as client:
        for sf in (50, 10):
            create(client, seed=1, sf=sf)
        queue = Queue.open(redis_url)
        Judged(FakeWorker(queue, ArtifactStore(settings.artifacts))).finish_all(2)
        queue.close()
        yield client


def printed(client: TestClient, study: str) -> str:
    console = Console(width=180)
    with console.capture() as capture:
        console.print(table(get(client, f"/v1/studies/{study}/results")))
    return capture.get()


def test_the_table_says_what_the_votes_said(client: TestClient) -> None:
    ids = [video["id"] for video in client.get("/v1/videos").json()["data"]]
    client.post("/v1/studies", json={"name": "older", "ids": ids})
    study = client.post("/v1/studies", json={"name": "newer", "ids": ids}).json()["id"]
    assert newest(client) in [each["id"] for each in client.get("/v1/studies").json()["data"]]
    assert "no votes yet" in printed(client, study)
    made = client.post(f"/v1/studies/{study}/invitations", json={}).json()
    invited = {"authorization": f"Bearer {made['token']}"}
    for _ in range(4):
        ballot = client.post("/v1/ballots", headers=invited).json()["id"]
        vote = {"choice": "no_difference"}
        assert client.put(f"/v1/ballots/{ballot}/pairs/1", json=vote, headers=invited).is_success
    text = printed(client, study)
    assert "newer: 4 votes of 4 participants" in text
    assert "sf 10, 50 steps" in text and "uncached, 50 steps" in text
    assert "50% (15% to 85%)" in text and "no difference shown; at worst 15%" in text


@pytest.mark.parametrize(
    ("low", "high", "says"), [(0.51, 0.7, "preferred"), (0.3, 0.49, "worse"), (0.4, 0.6, "no difference shown")]
)
def test_a_verdict_follows_from_the_interval(low: float, high: float, says: str) -> None:
    assert verdict({"mean": (low + high) / 2, "low": low, "high": high}).startswith(says)


def test_what_goes_wrong_is_one_line(client: TestClient) -> None:
    with pytest.raises(SystemExit, match="there is no study 'x'"):
        get(client, "/v1/studies/x/results")
    with pytest.raises(SystemExit, match="there is no study yet"):
        newest(client)
    with pytest.raises(SystemExit, match="does not answer as the service would"):
        main(["report", "--url", "http://127.0.0.1:1"])
