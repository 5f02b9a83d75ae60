"""Event streams as a client reads them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Event:
    """name: empty of a comment."""

    name: str = ""
    id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream, one after the other, comments too."""
    event = Event()
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data = json.loads(value)
        elif not line:
            yield event
            event = Event()


@contextmanager
def stream(address: str, path: str, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a call; leaves it with the block."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.stream("GET", address + path, headers=sent, timeout=30) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert (response.headers["x-accel-buffering"], response.headers["cache-control"]) == ("no", "no-store")
        yield parsed(response.iter_lines())


def story(events: list[Event]) -> list[str]:
    """What happened, in words."""
    return [
        " ".join(str(event.data[name]) for name in ("step", "kind") if name in event.data)
        if event.name == "step"
        else f"{event.name} {event.data.get('state', '')}".strip()
        for event in events
    ]
