"""Previews of a result over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.service.calls import create
from tests.service.fake_worker import VIDEO, FakeWorker

PREVIEWS = {"thumbnail": b"RIFF a thumbnail", "spritesheet": b"RIFF a sheet of many"}


@pytest.fixture
def video(client: TestClient, worker: FakeWorker) -> Any:
    """A completed video with both previews."""
    made = create(client)
    worker.previews = PREVIEWS  # type: ignore[assignment]
    worker.run_one()
    return client.get(f"/v1/videos/{made['id']}").json()


@pytest.mark.parametrize("variant", list(PREVIEWS))
def test_a_preview_is_served_as_the_video_is(client: TestClient, video: Any, variant: str) -> None:
    path, content = f"/v1/videos/{video['id']}/content?variant={variant}", PREVIEWS[variant]
    whole = client.get(path)
    assert (whole.status_code, whole.content) == (200, content)
    assert (whole.headers["content-type"], whole.headers["x-content-type-options"]) == ("image/webp", "nosniff")
    assert f"{video['id']}-{variant}.webp" in whole.headers["content-disposition"]
    part = client.get(path, headers={"range": "bytes=5-"})
    assert (part.status_code, part.content) == (206, content[5:])
    assert client.get(path, headers={"range": "bytes=99-"}).json()["error"]["code"] == "range_not_satisfiable"
    known = client.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_the_video_says_which_variants_there_are(client: TestClient, video: Any, worker: FakeWorker) -> None:
    assert video["variants"] == ["video", "thumbnail", "spritesheet"]
    tags = {
        client.get(f"/v1/videos/{video['id']}/content?variant={each}").headers["etag"] for each in video["variants"]
    }
    assert len(tags) == 3
    assert create(client)["variants"] is None


def test_a_preview_that_was_not_made_is_named_with_what_there_is(client: TestClient, worker: FakeWorker) -> None:
    video_id = create(client)["id"]
    early = client.get(f"/v1/videos/{video_id}/content?variant=thumbnail")
    assert (early.status_code, early.json()["error"]["code"]) == (422, "not_ready")
    worker.run_one()
    response = client.get(f"/v1/videos/{video_id}/content?variant=thumbnail")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "preview_missing")
    assert "it has: video" in response.json()["error"]["message"]
    assert client.get(f"/v1/videos/{video_id}/content").content == VIDEO


def test_previews_are_deleted_with_their_video(client: TestClient, video: Any, settings: Settings) -> None:
    assert len([path for path in settings.artifacts.rglob("*") if path.is_file()]) == 3
    assert client.delete(f"/v1/videos/{video['id']}").status_code == 200
    assert not list(settings.artifacts.rglob("*.webp"))
