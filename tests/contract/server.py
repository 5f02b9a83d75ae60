"""A server under test, over plain HTTP: what is asked of it, and what every answer must be like."""

import secrets
import time
from typing import Any

import httpx

Fields = dict[str, Any]
#: What a Video of the OpenAI shape has, always.
VIDEO_KEYS = {
    "id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at", "prompt", "size",
    "seconds", "remixed_from_video_id", "error",
}  # fmt: skip
STATUSES = {"queued", "in_progress", "completed", "failed"}
#: How a server says that it does not have a call.
ABSENT = {404, 405, 501}


class Unsupported(Exception):
    """The server does not have what a rule is about, and says so."""


class Server:
    """Makes calls, and deletes at the end what they made.

    fields: of each video, such as a small size. image_model: None where the server makes no images.
    seconds: how long a video may take.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        fields: Fields | None = None,
        image_model: str | None = None,
        seconds: float = 600.0,
    ) -> None:
        self.api_key, self.image_model = api_key, image_model
        self.fields, self._seconds = fields or {}, seconds
        self._made: list[str] = []
        self._completed: Fields | None = None
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        base = url.rstrip("/").removesuffix("/v1")
        self._client = httpx.Client(base_url=f"{base}/v1", headers=headers, timeout=60.0, follow_redirects=True)

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """An answer; one that is an error has the shape of one."""
        response = self._client.request(method, path, **request)
        if response.status_code >= 400 and method != "HEAD":
            _check_error(response)
        return response

    def has(self, response: httpx.Response) -> httpx.Response:
        """The answer to a call that not every server has. Raises `Unsupported`."""
        if response.status_code in ABSENT or _code(response) == "not_supported":
            raise Unsupported(f"{response.request.method} {response.request.url.path} is {response.status_code}")
        return response

    def take(self, response: httpx.Response) -> Fields:
        """The Video in an answer; it is deleted in the end."""
        video = video_in(response)
        self._made.append(video["id"])
        return video

    def create(self, **fields: Any) -> Fields:
        """A video, made with JSON."""
        return self.take(self.call("POST", "/videos", json={"prompt": "a red circle", **self.fields, **fields}))

    def form(self, **fields: Any) -> dict[str, tuple[None, str]]:
        """The same as parts of a form, as the SDKs send them."""
        return {name: (None, str(value)) for name, value in ({"prompt": "a red circle"} | self.fields | fields).items()}

    def retrieve(self, video_id: str) -> Fields:
        return video_in(self.call("GET", f"/videos/{video_id}"))

    def ended(self, video_id: str) -> Fields:
        """The video once it has ended, asked for again and again as the SDKs do."""
        deadline = time.monotonic() + self._seconds
        progress = 0
        while (video := self.retrieve(video_id))["status"] in ("queued", "in_progress"):
            assert video["progress"] >= progress, f"progress went back from {progress} to {video['progress']}"
            assert time.monotonic() < deadline, f"{video_id} is {video['status']} after {self._seconds:g} s"
            progress = video["progress"]
            time.sleep(0.1)
        return video

    def completed(self) -> Fields:
        """A video that is completed, the same for all who ask."""
        if self._completed is None:
            self._completed = self.ended(self.create()["id"])
        assert self._completed["status"] == "completed", f"the video failed: {self._completed['error']}"
        return self._completed

    def random_name(self) -> str:
        """One that nobody used before."""
        return secrets.token_hex(16)

    def close(self) -> None:
        for video_id in self._made:
            self._client.delete(f"/videos/{video_id}")
        self._client.close()


def video_in(response: httpx.Response) -> Fields:
    """The Video that an answer is."""
    assert response.status_code == 200, f"{response.status_code}: {response.text[:300]}"
    video: Fields = response.json()
    assert not (missing := VIDEO_KEYS - video.keys()), f"keys are missing: {', '.join(sorted(missing))}"
    assert video["object"] == "video", f"object is {video['object']!r}"
    assert video["status"] in STATUSES, f"status is {video['status']!r}"
    assert isinstance(video["progress"], int) and 0 <= video["progress"] <= 100, f"progress is {video['progress']!r}"
    assert isinstance(video["created_at"], int), f"created_at is {video['created_at']!r}"
    assert isinstance(video["seconds"], str), f"seconds is {video['seconds']!r}, which is no string"
    return video


def refused(response: httpx.Response, *statuses: int) -> Fields:
    """The error in an answer, with one of these statuses."""
    assert response.status_code in statuses, (
        f"{response.status_code}, not {' or '.join(map(str, statuses))}: {response.text[:200]}"
    )
    error: Fields = response.json()["error"]
    return error


def _check_error(response: httpx.Response) -> None:
    status = response.status_code
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        return
    try:
        error = response.json()["error"]
        keys = set(error)
    except (ValueError, KeyError, TypeError):
        raise AssertionError(f"a {status} without an error object: {response.text[:200]}") from None
    assert keys >= {"message", "type", "param", "code"}, f"the error of a {status} has the keys {sorted(keys)}"
    assert isinstance(error["message"], str) and error["message"], f"the message of a {status} is {error['message']!r}"
    assert isinstance(error["code"], str), f"the code of a {status} is {error['code']!r}, which is no string"


def _code(response: httpx.Response) -> str | None:
    try:
        return str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return None
