"""Creating and retrieving videos."""

from tests.contract.rules import Group
from tests.contract.server import Server, Unsupported, refused

group = Group("create")


@group.rule
def json_is_taken(server: Server) -> None:
    """A JSON body makes a video."""
    video = server.create(prompt="a blue circle")
    assert video["prompt"] == "a blue circle"


@group.rule
def forms_are_taken(server: Server) -> None:
    """A multipart body makes a video: the SDKs send nothing else."""
    video = server.take(server.call("POST", "/videos", files=server.form(prompt="a blue circle")))
    assert video["prompt"] == "a blue circle"


@group.rule
def a_new_video_has_not_ended(server: Server) -> None:
    """The answer to create comes before the video is made, with nothing of its end."""
    video = server.create()
    assert video["status"] in ("queued", "in_progress"), video["status"]
    assert (video["completed_at"], video["error"], video["remixed_from_video_id"]) == (None, None, None)


@group.rule
def a_video_is_seen_at_once(server: Server) -> None:
    """What create answered with can be retrieved at once, with the same id, prompt, size and time."""
    made = server.create()
    seen = server.retrieve(made["id"])
    for key in ("id", "prompt", "model", "size", "seconds", "created_at"):
        assert seen[key] == made[key], f"{key} was {made[key]!r} and is {seen[key]!r}"


@group.rule
def a_video_is_made(server: Server) -> None:
    """A video completes: progress 100, a time of completion, no error."""
    video = server.completed()
    assert (video["progress"], video["error"]) == (100, None)
    assert isinstance(video["completed_at"], int) and video["completed_at"] >= video["created_at"]


@group.rule
def no_prompt_is_refused(server: Server) -> None:
    """A body without a prompt is refused, and the error names the field."""
    assert refused(server.call("POST", "/videos", json={}), 400)["param"] == "prompt"


@group.rule
def an_empty_prompt_is_refused(server: Server) -> None:
    """An empty prompt is refused."""
    refused(server.call("POST", "/videos", json={"prompt": ""}), 400)


@group.rule
def an_unknown_model_is_refused(server: Server) -> None:
    """A model that is not served is refused when the video is created, not when it would run."""
    refused(server.call("POST", "/videos", json={"prompt": "a", "model": "no-such-model"}), 400, 404)


@group.rule
def a_wrong_size_is_refused(server: Server) -> None:
    """A size that is none is refused."""
    refused(server.call("POST", "/videos", json={"prompt": "a", "size": "large"}), 400)


@group.rule
def broken_json_is_refused(server: Server) -> None:
    """A body that is no JSON is refused."""
    headers = {"content-type": "application/json"}
    refused(server.call("POST", "/videos", content=b'{"prompt": ', headers=headers), 400)


@group.rule
def no_setting_is_dropped_in_silence(server: Server) -> None:
    """A field that the server does not know is refused by name, rather than accepted and left out."""
    error = refused(server.call("POST", "/videos", json={"prompt": "a", "no_such_setting": 1}), 400)
    assert "no_such_setting" in error["message"]


@group.extension
def polling_is_paced(server: Server) -> None:
    """`openai-poll-after-ms` says when to ask again, which the SDKs' polling reads."""
    response = server.call("GET", f"/videos/{server.create()['id']}")
    if "openai-poll-after-ms" not in response.headers:
        raise Unsupported("there is no openai-poll-after-ms")
    assert 0 < int(response.headers["openai-poll-after-ms"]) <= 60_000


@group.extension
def a_key_makes_one_video(server: Server) -> None:
    """The same `Idempotency-Key` and body give the same video; with another body it is a 422."""
    body, headers = {"prompt": "once", **server.fields}, {"idempotency-key": server.random_name()}
    first, second = (server.take(server.call("POST", "/videos", json=body, headers=headers)) for _ in range(2))
    if first["id"] != second["id"]:
        raise Unsupported("Idempotency-Key is not looked at")
    refused(server.call("POST", "/videos", json=body | {"prompt": "twice"}, headers=headers), 422)
