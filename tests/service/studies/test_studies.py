"""Preference studies by the calls of who runs them."""

import csv
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.app import create_app
from service.settings import Settings
from tests.queues import Queue
from tests.service.accounts import a_key, bearer
from tests.service.calls import create
from tests.service.image_model import IMAGE_MODEL, image_worker
from tests.service.judged import TELLTALE, Judged
from tests.service.study_calls import answer, invite, refusal
from tests.workers.factories import a_request
from workers.jobs import keys
from workers.jobs.job import JobKey, Priority, new_job_id


def test_a_study_says_what_it_compares(study: dict[str, Any], ids: list[str], acme: TestClient) -> None:
    assert study["models"] == ["wan-test"] and study["pairs"] == 4 and study["ids"] == sorted(ids)
    assert study["settings"] == ["sf 10, 50 steps", "sf 6, 50 steps", "uncached, 50 steps"]
    assert answer(acme.get(f"/v1/studies/{study['id']}")) == study
    assert answer(acme.get("/v1/studies"))["data"] == [study]
    videos = [answer(acme.get(f"/v1/videos/{each}")) for each in ids]
    assert study["shown_until"] == min(video["expires_at"] for video in videos)


def test_an_invitation_is_good_as_long_as_it_says_and_never_longer_than_its_videos(
    acme: TestClient, study: dict[str, Any]
) -> None:
    path = f"/v1/studies/{study['id']}/invitations"
    long = acme.post(path, json={"seconds": 10_000_000})
    assert "longer than the results of this study are kept; allowed: up to 86" in refusal(long, 400)
    short = invite(acme, study, seconds=60)
    assert invite(acme, study)["expires_at"] == study["shown_until"]
    resources = acme.app.state.resources  # type: ignore[attr-defined]
    now = resources.clock()
    with TestClient(acme.app, headers=bearer(short["token"])) as guest:
        answer(guest.post("/v1/ballots"))
        object.__setattr__(resources, "clock", lambda: now + 61)
        assert guest.post("/v1/ballots").status_code == 401
        object.__setattr__(resources, "clock", lambda: float(study["shown_until"]))
    assert "have expired" in refusal(acme.post(path, json={}), 400)


def test_an_invitation_is_in_no_log_and_redis_has_none_of_it(
    acme: TestClient, study: dict[str, Any], queue: Queue
) -> None:
    with capture_logs() as lines:
        made = invite(acme, study)
        with TestClient(acme.app, headers=bearer(made["token"])) as guest:
            guest.post("/v1/ballots")
            guest.post("/v1/ballots", headers=bearer(made["token"] + "x"))
    secret = made["token"].split("_", 3)[3]
    assert (
        secret not in json.dumps(lines, default=str)
        and len([line for line in lines if line["event"] == "request"]) == 3
    )
    assert made["url"] == f"http://testserver/#vote/{made['token']}"
    kept = queue.connection.commands.hgetall(keys.invitations(study["id"]))
    assert made["id"] in kept and secret not in str(kept)


def test_another_accounts_study_does_not_exist(acme: TestClient, study: dict[str, Any], settings: Settings) -> None:
    path = f"/v1/studies/{study['id']}"
    with TestClient(acme.app, headers=bearer(a_key(settings, "beta"))) as beta:
        for method, call in (
            ("GET", path),
            ("GET", f"{path}/results"),
            ("GET", f"{path}/results.csv"),
            ("DELETE", path),
        ):
            assert "there is no study" in refusal(beta.request(method, call), 404)
        assert beta.post(f"{path}/invitations", json={}).status_code == 404
        assert answer(beta.get("/v1/studies"))["data"] == []
        foreign = beta.post("/v1/studies", json={"name": "x", "ids": study["ids"]})
        assert "there is no video or image" in refusal(foreign, 400)


def test_a_deleted_study_leaves_nothing_behind(
    acme: TestClient, guest: TestClient, study: dict[str, Any], queue: Queue
) -> None:
    ballot = answer(guest.post("/v1/ballots"))["id"]
    answer(guest.put(f"/v1/ballots/{ballot}/pairs/1", json={"choice": "left"}))
    assert answer(acme.delete(f"/v1/studies/{study['id']}"))["deleted"] is True
    assert queue.connection.commands.keys("{studies}*") == []
    assert guest.post("/v1/ballots").status_code == 401 and answer(acme.get("/v1/studies"))["data"] == []


def test_everything_of_a_study_expires(
    acme: TestClient, guest: TestClient, study: dict[str, Any], queue: Queue
) -> None:
    ballot = answer(guest.post("/v1/ballots"))["id"]
    answer(guest.put(f"/v1/ballots/{ballot}/pairs/1", json={"choice": "left"}))
    commands = queue.connection.commands
    assert study["expires_at"] - study["created_at"] == 30 * 86_400
    keys = commands.keys("{studies}*")
    # Redis before 7 says only how long a key has left.
    assert keys and {commands.ttl(key) for key in keys} <= set(range(30 * 86_400 - 600, 30 * 86_400 + 1))


def test_the_table_can_be_had_for_a_spreadsheet(acme: TestClient, guest: TestClient, study: dict[str, Any]) -> None:
    ballot = answer(guest.post("/v1/ballots"))["id"]
    for position in range(1, 5):
        answer(guest.put(f"/v1/ballots/{ballot}/pairs/{position}", json={"choice": "no_difference"}))
    response = acme.get(f"/v1/studies/{study['id']}/results.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["setting"], row["votes"], row["score"]) for row in rows] == [
        ("sf 10, 50 steps", "2", "0.5000"), ("sf 6, 50 steps", "2", "0.5000"),
    ]  # fmt: skip
    assert float(rows[0]["score_low"]) < 0.5 < float(rows[0]["score_high"])


def test_images_are_compared_too(settings: Settings, acme: TestClient, queue: Queue) -> None:
    resources = acme.app.state.resources  # type: ignore[attr-defined]
    made = []
    for sf in (50, 10):
        key = JobKey("acme", new_job_id(IMAGE_MODEL, "image"))
        request = a_request(model=IMAGE_MODEL, sf=sf)
        resources.jobs.submit(key, priority=Priority.NORMAL, request=request, metadata={})
        made.append(key.job_id)
    Judged(image_worker(settings, queue)).finish_all(2)
    study = answer(acme.post("/v1/studies", json={"name": "images", "ids": made}))
    with TestClient(acme.app, headers=bearer(invite(acme, study)["token"])) as guest:
        pair = answer(guest.get(f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}/pairs/1"))
        picture = guest.get(f"/{pair['left']}")
    assert pair["media"] == "image" and picture.headers["content-type"] == "image/png"
    assert TELLTALE.encode() not in picture.content


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "x"}, "ids is required"),
        ({"ids": ["a", "b"]}, "name is required"),
        ({"name": " ", "ids": ["a", "b"]}, "must have at least one character that is not a space"),
        ({"name": "x" * 121, "ids": ["a", "b"]}, "at most 120 characters"),
        ({"name": "x", "ids": ["a"]}, "at least 2 items"),
        ({"name": "x", "ids": ["a"] * 2}, "must name each once; 'a' is there twice"),
        ({"name": "x", "ids": [f"{n}" for n in range(201)]}, "at most 200 items"),
        ({"name": "x", "ids": ["a", "b"]}, "there is no video or image 'a'"),
        ({"name": "x", "ids": ["a", "b"], "sf": 3}, "unknown field 'sf'; allowed: name, ids"),
    ],
)
def test_a_study_that_cannot_be_made_is_refused(acme: TestClient, fields: dict[str, Any], message: str) -> None:
    assert message in refusal(acme.post("/v1/studies", json=fields), 400)


def test_an_unfinished_video_is_refused_by_its_state(acme: TestClient, ids: list[str]) -> None:
    queued = create(acme)["id"]
    said = refusal(acme.post("/v1/studies", json={"name": "x", "ids": [*ids, queued]}), 400)
    assert f"{queued} is queued and has no result" in said


@pytest.mark.parametrize("fields", [{"seconds": 59}, {"seconds": True}, {"votes": 0}, {"votes": 1001}, {"name": "x"}])
def test_an_invitation_that_cannot_be_is_refused(
    acme: TestClient, study: dict[str, Any], fields: dict[str, Any]
) -> None:
    [name] = fields
    said = refusal(acme.post(f"/v1/studies/{study['id']}/invitations", json=fields), 400)
    assert name in said


def test_studies_and_invitations_have_a_most(acme: TestClient, ids: list[str]) -> None:
    made = [answer(acme.post("/v1/studies", json={"name": f"{n}", "ids": ids[:3]})) for n in range(20)]
    assert "20 studies, which is the most" in refusal(acme.post("/v1/studies", json={"name": "x", "ids": ids[:3]}), 400)
    for _ in range(10):
        invite(acme, made[0])
    said = refusal(acme.post(f"/v1/studies/{made[0]['id']}/invitations", json={}), 400)
    assert "10 invitations to this study, which is the most" in said
    acme.delete(f"/v1/studies/{made[1]['id']}")
    answer(acme.post("/v1/studies", json={"name": "room again", "ids": ids[:3]}))


def test_a_study_outlives_the_process_and_is_seen_by_all(
    settings: Settings, acme: TestClient, study: dict[str, Any]
) -> None:
    with TestClient(create_app(settings), headers=acme.headers) as other:
        assert answer(other.get(f"/v1/studies/{study['id']}")) == study


def test_a_study_that_cannot_be_read_hides_no_other(
    acme: TestClient, study: dict[str, Any], ids: list[str], queue: Queue
) -> None:
    other = answer(acme.post("/v1/studies", json={"name": "other", "ids": ids[:3]}))
    queue.connection.commands.set(keys.study(study["id"]), '{"id": "of another version"}', keepttl=True)
    assert [each["id"] for each in answer(acme.get("/v1/studies"))["data"]] == [other["id"]]
    assert "there is no study" in refusal(acme.get(f"/v1/studies/{study['id']}"), 404)
