"""Preference studies by the calls of who was invited, and what the table makes of their votes."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.service.accounts import bearer
from tests.service.judged import TELLTALE
from tests.service.study_calls import answer, invite, refusal
from workers.jobs.store import StoreUnreachable


def frames_of(video: bytes) -> bytes:
    return video[video.index(b"mdat") :]


def test_a_participant_judges_every_pair_and_the_table_says_what_they_chose(
    acme: TestClient, guest: TestClient, study: dict[str, Any]
) -> None:
    ballot = answer(guest.post("/v1/ballots"))
    assert (ballot["name"], ballot["pairs"], ballot["voted"], ballot["next"]) == ("which sf", 4, 0, 1)
    path = f"/v1/ballots/{ballot['id']}"
    prompts = []
    while ballot["next"]:
        pair = answer(guest.get(f"{path}/pairs/{ballot['next']}"))
        prompts.append(pair["prompt"])
        assert pair["choice"] is None and pair["media"] == "video"
        ballot = answer(guest.put(f"{path}/pairs/{pair['position']}", json={"choice": "no_difference"}))
    assert sorted(prompts) == ["a ball", "a ball", "a cube", "a cube"] and ballot["voted"] == 4
    results = answer(acme.get(f"/v1/studies/{study['id']}/results"))
    assert (results["votes"], results["participants"]) == (4, 1)
    assert [(row["setting"], row["votes"], row["no_difference"]) for row in results["data"]] == [
        ("sf 10, 50 steps", 2, 2), ("sf 6, 50 steps", 2, 2),
    ]  # fmt: skip
    assert answer(acme.get(f"/v1/studies/{study['id']}"))["votes"] == 4


def test_a_vote_counts_for_what_was_on_its_side(acme: TestClient, guest: TestClient, study: dict[str, Any]) -> None:
    """Whoever always chooses the video with the uncached one's frames says so, on whichever side they are."""
    videos = [answer(acme.get(f"/v1/videos/{each}")) for each in study["ids"]]
    uncached = {
        video["prompt"]: frames_of(acme.get(f"/v1/videos/{video['id']}/content").content)
        for video in videos
        if video["sf"] == 50
    }
    for _ in range(3):
        path = f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}"
        for position in range(1, 5):
            pair = answer(guest.get(f"{path}/pairs/{position}"))
            left = frames_of(guest.get(f"/{pair['left']}").content)
            choice = "left" if left == uncached[pair["prompt"]] else "right"
            answer(guest.put(f"{path}/pairs/{position}", json={"choice": choice}))
    rows = answer(acme.get(f"/v1/studies/{study['id']}/results"))["data"]
    assert [(row["baseline_preferred"], row["setting_preferred"]) for row in rows] == [(6, 0), (6, 0)]


def test_nothing_that_a_participant_gets_tells_how_it_was_made(
    guest: TestClient, study: dict[str, Any], acme: TestClient
) -> None:
    ballot = guest.post("/v1/ballots")
    path = f"/v1/ballots/{ballot.json()['id']}"
    pairs = [guest.get(f"{path}/pairs/{position}") for position in range(1, 5)]
    shown = [guest.get(f"/{pair.json()[side]}") for pair in pairs for side in ("left", "right")]
    said = [each.text for each in (ballot, *pairs)] + [str(each.headers) + str(each.url) for each in (*pairs, *shown)]
    digests = [acme.get(f"/v1/videos/{each}/content").headers["etag"] for each in study["ids"]]
    for telling in (*study["ids"], *digests, "uncached", "etag", "scalingcache", study["id"]):
        assert not [text for text in said if telling in text], telling
    assert set(ballot.json()) == {"id", "object", "name", "expires_at", "pairs", "voted", "next"}
    assert {name for each in pairs for name in each.json()} == {
        "position", "object", "media", "prompt", "choice", "left", "right"
    }  # fmt: skip
    assert {name for each in shown for name in each.headers} == {
        "content-length", "content-disposition", "content-type", "cache-control", "x-request-id",
        "x-content-type-options",
    }  # fmt: skip
    assert all(TELLTALE.encode() not in each.content for each in shown)
    assert {each.headers["content-disposition"] for each in shown} == {
        'inline; filename="left.mp4"', 'inline; filename="right.mp4"'
    }  # fmt: skip
    told = acme.get(f"/v1/videos/{study['ids'][0]}/content").content
    assert TELLTALE.encode() in told, "the file itself says it"


def test_a_second_vote_takes_the_place_of_the_first(acme: TestClient, guest: TestClient, study: dict[str, Any]) -> None:
    path = f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}"
    for choice in ("left", "right"):
        answer(guest.put(f"{path}/pairs/2", json={"choice": choice}))
        assert answer(guest.get(f"{path}/pairs/2"))["choice"] == choice
    assert answer(guest.get(path))["voted"] == 1
    assert answer(acme.get(f"/v1/studies/{study['id']}/results"))["votes"] == 1


def test_an_invitation_has_as_many_votes_as_it_says_and_one_can_still_be_changed(
    acme: TestClient, study: dict[str, Any]
) -> None:
    with TestClient(acme.app, headers=bearer(invite(acme, study, votes=1)["token"])) as guest:
        path = f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}"
        answer(guest.put(f"{path}/pairs/1", json={"choice": "left"}))
        full = guest.put(f"{path}/pairs/2", json={"choice": "left"})
        assert full.json()["error"]["code"] == "votes_full" and "its 1 votes" in refusal(full, 422)
        answer(guest.put(f"{path}/pairs/1", json={"choice": "right"}))
    assert answer(acme.get(f"/v1/studies/{study['id']}/results"))["votes"] == 1


def test_an_invitation_opens_ballots_and_nothing_else(guest: TestClient, study: dict[str, Any]) -> None:
    calls = [("GET", "/v1/videos"), ("POST", "/v1/videos"), ("GET", f"/v1/videos/{study['ids'][0]}/content"),
             ("GET", "/v1/models"), ("GET", "/v1/studies"), ("GET", f"/v1/studies/{study['id']}/results"),
             ("POST", f"/v1/studies/{study['id']}/invitations"), ("GET", "/metrics"),
             ("GET", "/v1/status")]  # fmt: skip
    assert {guest.request(method, path).status_code for method, path in calls} == {401}


def test_a_key_opens_no_ballot_and_another_ones_token_none_of_this_study(acme: TestClient, guest: TestClient) -> None:
    assert acme.post("/v1/ballots").json()["error"]["code"] == "invalid_invitation"
    token = guest.headers["authorization"].split()[1]
    for wrong in (token[:-1] + ("a" if token[-1] != "a" else "b"), token[:-1], f"scv_{'0' * 32}_{'0' * 16}_{'a' * 43}"):
        assert guest.post("/v1/ballots", headers=bearer(wrong)).status_code == 401


def test_a_revoked_invitation_ends_at_once_and_its_votes_count(
    acme: TestClient, guest: TestClient, study: dict[str, Any]
) -> None:
    ballot = answer(guest.post("/v1/ballots"))["id"]
    answer(guest.put(f"/v1/ballots/{ballot}/pairs/1", json={"choice": "left"}))
    [invitation] = answer(acme.get(f"/v1/studies/{study['id']}"))["invitations"]
    shown = answer(acme.delete(f"/v1/studies/{study['id']}/invitations/{invitation['id']}"))
    assert [each["revoked"] for each in shown["invitations"]] == [True] and shown["votes"] == 1
    gone = guest.put(f"/v1/ballots/{ballot}/pairs/2", json={"choice": "left"})
    assert gone.json()["error"]["code"] == "invalid_invitation" and gone.headers["www-authenticate"].startswith(
        "Bearer"
    )
    assert "no invitation" in refusal(acme.delete(f"/v1/studies/{study['id']}/invitations/x"), 404)


def test_a_pair_whose_video_is_deleted_is_told_to_be_gone_without_its_id(
    acme: TestClient, guest: TestClient, study: dict[str, Any]
) -> None:
    for each in study["ids"]:
        acme.delete(f"/v1/videos/{each}")
    path = f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}/pairs/1"
    for response in (guest.get(path), guest.get(f"{path}/left")):
        assert "no longer kept; go on" in refusal(response, 410) and "video_" not in response.text


def test_a_file_that_is_gone_is_told_without_its_name(guest: TestClient, settings: Settings) -> None:
    for path in settings.artifacts.rglob("video.mp4"):
        path.unlink()
    pair = answer(guest.get(f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}/pairs/1"))
    for side in ("left", "right"):
        response = guest.get(f"/{pair[side]}")
        assert f"the result on the {side} is no longer kept" in refusal(response, 410) and "video_" not in response.text


def test_a_store_that_does_not_answer_is_told_without_the_results_name(guest: TestClient) -> None:
    resources = guest.app.state.resources  # type: ignore[attr-defined]
    path = f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}/pairs/1"

    def unreachable(_: object) -> None:
        raise StoreUnreachable(110, "did not answer")

    resources.artifacts.open = unreachable
    response = guest.get(f"{path}/left")
    assert "the result on the left cannot be read now" in refusal(response, 503) and "video_" not in response.text


@pytest.mark.parametrize("choice", ["both", "", None, 3])
def test_a_vote_that_is_none_is_refused(guest: TestClient, choice: object) -> None:
    path = f"/v1/ballots/{answer(guest.post('/v1/ballots'))['id']}/pairs/1"
    assert "choice" in refusal(guest.put(path, json={"choice": choice}), 400)


def test_an_unknown_ballot_is_a_404(guest: TestClient) -> None:
    assert "there is no ballot" in refusal(guest.get("/v1/ballots/nothing"), 404)
    ballot = answer(guest.post("/v1/ballots"))["id"]
    assert "allowed: 1 to 4" in refusal(guest.get(f"/v1/ballots/{ballot}/pairs/5"), 404)
    assert guest.get(f"/v1/ballots/{ballot}/pairs/1/middle").status_code == 400
