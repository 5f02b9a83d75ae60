"""Content, lists, deletion, remixes and models."""

from tests.contract.rules import Group
from tests.contract.server import Server, Unsupported, refused, video_in

group = Group("read")


@group.rule
def content_is_the_file(server: Server) -> None:
    """The content of a completed video is a file of a video type, an MP4 where it says so."""
    response = server.call("GET", f"/videos/{server.completed()['id']}/content")
    media = response.headers["content-type"]
    assert response.status_code == 200 and media.startswith("video/"), f"{response.status_code} {media}"
    assert len(response.content) == int(response.headers.get("content-length", len(response.content)))
    assert media != "video/mp4" or response.content[4:8] == b"ftyp", "it is no MP4"


@group.rule
def content_comes_in_parts(server: Server) -> None:
    """A `Range` of the content is a 206 with these bytes: players and broken downloads ask for them."""
    path = f"/videos/{server.completed()['id']}/content"
    whole = server.call("GET", path).content
    part = server.call("GET", path, headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, whole[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole)}"


@group.rule
def content_of_no_video_is_a_404(server: Server) -> None:
    """There is no content of a video that there is not."""
    refused(server.call("GET", "/videos/video_none/content"), 404)


@group.extension
def no_variant_is_dropped_in_silence(server: Server) -> None:
    """`variant=thumbnail` is an image or an error, not the video."""
    response = server.call("GET", f"/videos/{server.completed()['id']}/content", params={"variant": "thumbnail"})
    if response.is_success:
        assert response.headers["content-type"].startswith("image/"), response.headers["content-type"]
    else:
        assert response.status_code < 500, response.status_code


@group.rule
def what_was_never_made_is_a_404(server: Server) -> None:
    """A video that there is not is a 404, to look at and to delete."""
    refused(server.call("GET", "/videos/video_none"), 404)
    refused(server.call("DELETE", "/videos/video_none"), 404)


@group.rule
def pages_join(server: Server) -> None:
    """Pages that go on `after` the last id of the one before have every video once, the newest first."""
    made = [server.create()["id"] for _ in range(3)]
    seen: list[str] = []
    page = {"has_more": True, "last_id": None}
    while page["has_more"] and not set(made) <= set(seen):
        after = {"after": page["last_id"]} if page["last_id"] else {}
        page = server.call("GET", "/videos", params={"limit": 2, **after}).json()
        ids = [video["id"] for video in page["data"]]
        assert page["object"] == "list" and len(ids) <= 2
        assert (page["first_id"], page["last_id"]) == (ids[0], ids[-1]), "first_id and last_id are those of the page"
        seen += ids
    assert [each for each in seen if each in made] == made[::-1]
    assert len(set(seen)) == len(seen), "a video is on two pages"


@group.rule
def lists_go_either_way(server: Server) -> None:
    """`order=asc` begins with the oldest."""
    made = {server.create()["id"] for _ in range(2)}
    ways = {}
    for order in ("asc", "desc"):
        data = server.call("GET", "/videos", params={"limit": 100, "order": order}).json()["data"]
        ways[order] = [video["created_at"] for video in data]
    assert ways["asc"] == sorted(ways["asc"]) and ways["desc"] == sorted(ways["desc"], reverse=True)
    assert len(made) == 2


@group.rule
def a_wrong_limit_is_refused(server: Server) -> None:
    """A page of no or of a thousand videos is refused."""
    for limit in ("0", "1000", "many"):
        refused(server.call("GET", "/videos", params={"limit": limit}), 400)


@group.rule
def what_is_deleted_is_gone(server: Server) -> None:
    """A deleted video answers `video.deleted`, and is a 404 from then on."""
    video_id = server.ended(server.create()["id"])["id"]
    deleted = server.call("DELETE", f"/videos/{video_id}").json()
    said = {key: deleted.get(key) for key in ("id", "object", "deleted")}
    assert said == {"id": video_id, "object": "video.deleted", "deleted": True}, deleted
    refused(server.call("GET", f"/videos/{video_id}"), 404)
    refused(server.call("GET", f"/videos/{video_id}/content"), 404)


@group.rule
def a_remix_names_its_source(server: Server) -> None:
    """A remix is a new video of the same size and length, and says what it was made from."""
    source = server.completed()
    response = server.call("POST", f"/videos/{source['id']}/remix", json={"prompt": "a green circle"})
    remix = server.take(server.has(response))
    assert remix["id"] != source["id"] and remix["remixed_from_video_id"] == source["id"]
    assert [remix[key] for key in ("prompt", "size", "seconds")] == [
        "a green circle",
        source["size"],
        source["seconds"],
    ]


@group.rule
def models_are_listed(server: Server) -> None:
    """Models are listed and retrieved in the OpenAI shape, and one that there is not is a 404."""
    listed = server.call("GET", "/models").json()
    assert listed["object"] == "list" and listed["data"], "no model is listed"
    name = listed["data"][0]["id"]
    model = server.call("GET", f"/models/{name}").json()
    assert (model["id"], model["object"], type(model["created"])) == (name, "model", int)
    refused(server.call("GET", "/models/no-such-model"), 404)


@group.extension
def a_cancelled_video_is_a_failed_one(server: Server) -> None:
    """A cancelled video is retrieved with 200: `failed`, with the code `cancelled`; one that ended is unchanged."""
    made = server.create()["id"]
    video_in(server.has(server.call("POST", f"/videos/{made}/cancel")))
    video = server.ended(made)
    assert video["status"] == "completed" or video["error"]["code"] == "cancelled", video["error"]
    unchanged = video_in(server.call("POST", f"/videos/{server.completed()['id']}/cancel"))
    assert unchanged["status"] == "completed"


@group.extension
def waiting_ends_with_the_video(server: Server) -> None:
    """`GET /videos/{id}?wait=` answers when the video has ended."""
    video_id = server.create()["id"]
    response = server.call("GET", f"/videos/{video_id}", params={"wait": 20})
    if response.status_code == 400:
        raise Unsupported("wait is refused")
    video = video_in(response)
    if video["status"] in ("queued", "in_progress") and response.elapsed.total_seconds() < 15:
        raise Unsupported("wait is not looked at")


@group.extension
def lists_are_filtered(server: Server) -> None:
    """A list of the videos in one status has no others."""
    done = server.completed()["id"]
    response = server.call("GET", "/videos", params={"status": "completed", "limit": 100})
    if response.status_code == 400:
        raise Unsupported("status is refused")
    data = response.json()["data"]
    if any(video["status"] != "completed" for video in data):
        raise Unsupported("status is not looked at")
    assert done in [video["id"] for video in data]
    failed = server.call("GET", "/videos", params={"status": "failed", "limit": 100}).json()["data"]
    assert done not in [video["id"] for video in failed]


@group.extension
def an_estimate_makes_nothing(server: Server) -> None:
    """`POST /videos:estimate` says what a video would take, and makes none."""
    response = server.has(server.call("POST", "/videos:estimate", json={"prompt": "estimated", **server.fields}))
    assert response.json()["object"] == "video.estimate"
    prompts = [video["prompt"] for video in server.call("GET", "/videos", params={"limit": 100}).json()["data"]]
    assert "estimated" not in prompts


@group.extension
def images_are_made(server: Server) -> None:
    """`POST /images/generations` answers with a PNG in base64."""
    if server.image_model is None:
        raise Unsupported("no model of images was named")
    body = {"prompt": "a red circle", "model": server.image_model, "n": 1}
    answer = server.has(server.call("POST", "/images/generations", json=body, timeout=600)).json()
    assert isinstance(answer["created"], int)
    assert answer["data"][0]["b64_json"].startswith("iVBORw0KGgo"), "it is no PNG"
