"""Many images at once: they are decoded a few at a time, and nobody else waits for that."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from fastapi.testclient import TestClient

from service import submission
from service.dependencies import DECODERS
from service.settings import Settings
from tests.images import a_file
from tests.service.first_frames import MODELS, post
from tests.service.settings import settings_in
from tests.waiting import wait_until

MORE_THAN_THREADS = 45  # which are 40, for all calls together


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


def test_uploads_that_wait_to_be_decoded_hold_up_no_other_call(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding: list[int] = []
    released = threading.Event()

    async def slow(file: IO[bytes], width: int, height: int) -> bytes:
        decoding.append(1)
        while not released.is_set():
            await asyncio.sleep(0.01)
        return file.read()

    monkeypatch.setattr(submission, "fitted", slow)
    image = a_file()
    with ThreadPoolExecutor(MORE_THAN_THREADS) as pool:
        uploads = [pool.submit(post, client, image) for _ in range(MORE_THAN_THREADS)]
        wait_until(lambda: len(decoding) == DECODERS and _waiting(client) == MORE_THAN_THREADS - DECODERS)
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/videos", json={"prompt": "a"}).status_code == 200
        assert len(decoding) == DECODERS
        released.set()
        assert {upload.result(timeout=60).status_code for upload in uploads} == {200}


def _waiting(client: TestClient) -> int:
    return client.app.state.resources.decoders.statistics().tasks_waiting  # type: ignore[attr-defined, no-any-return]
