"""A stream whose Redis goes away says so and ends; once Redis is back it is gone on with where it was."""

import os
import signal

import httpx
import pytest

from demo.embedded_redis import EmbeddedRedis
from service.settings import Settings
from tests.service.serving import served
from tests.service.streams import stream
from tests.waiting import wait_until


@pytest.mark.parametrize("lost", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "hanging"])
def test_a_stream_says_that_its_redis_is_lost_and_ends(
    settings: Settings, own_redis: EmbeddedRedis, lost: signal.Signals
) -> None:
    with served(settings.model_copy(update={"redis_url": own_redis.url})) as service:
        made = httpx.post(f"{service.address}/v1/videos", json={"prompt": "a red ball"}).json()
        path = f"/v1/videos/{made['id']}/events"
        with stream(service.address, path) as events:
            first = next(events)
            assert own_redis.pid is not None
            os.kill(own_redis.pid, lost)
            *_, last = events
        assert (first.name, last.name, last.data["error"]["code"]) == ("video", "error", "queue_unavailable")
        if lost is signal.SIGSTOP:
            os.kill(own_redis.pid, signal.SIGCONT)
            wait_until(lambda: httpx.get(f"{service.address}/v1/videos/{made['id']}").status_code == 200)
            with stream(service.address, path, last_event_id=str(first.id)) as events:
                assert next(event for event in events if event.name).name == "video"
