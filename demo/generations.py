"""One generation over HTTP, as a client of the service makes it: a video is followed, an image waited for."""

import time
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo.stack import Stack, StackFailed

IMAGE_SECONDS = 300.0


@dataclass(frozen=True)
class Generation:
    """What came back. `report` is the Video object, or the image of the answer; both name steps, speedup, timings."""

    report: dict[str, Any]
    content: bytes
    suffix: str


def video(
    client: httpx.Client, stack: Stack, console: Console, label: str, request: dict[str, Any], first_frame: Path | None
) -> Generation:
    """Submit a job and follow it to its end. Raises `StackFailed` when the job fails."""
    if first_frame is None:
        created = client.post("/v1/videos", json=request)
    else:
        created = client.post("/v1/videos", data=request, files={"input_reference": first_frame.read_bytes()})
    job = _answer(created)
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[state]}"), console=console) as progress:
        task = progress.add_task(label, total=100, state=job["state"])
        while job["status"] in ("queued", "in_progress"):
            stack.check()
            time.sleep(0.2)
            job = _answer(client.get(f"/v1/videos/{job['id']}"))
            progress.update(task, completed=job["progress"], state=job["state"])
    if job["status"] == "failed":
        raise StackFailed(f"the job failed: {job['error']['code']}: {job['error']['message']}")
    return Generation(job, client.get(f"/v1/videos/{job['id']}/content").raise_for_status().content, ".mp4")


def image(
    client: httpx.Client, stack: Stack, console: Console, label: str, request: dict[str, Any], first_frame: Path | None
) -> Generation:
    """Ask for an image and wait for it. Raises `StackFailed` when it fails, or when a first frame is given."""
    if first_frame is not None:
        raise StackFailed(f"model {request['model']} makes images and takes no first frame")
    with console.status(label):
        try:
            answer = _answer(client.post("/v1/images/generations", json=request, timeout=IMAGE_SECONDS))
        except httpx.TransportError as error:
            stack.check()
            raise StackFailed(f"no image came: {error}") from error
    [made] = answer["data"]
    return Generation(made, b64decode(made["b64_json"]), ".png")


def _answer(response: httpx.Response) -> dict[str, Any]:
    if response.is_error:
        raise StackFailed(response.json()["error"]["message"])
    answer: dict[str, Any] = response.json()
    return answer
