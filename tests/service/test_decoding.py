"""The decoder's process: it lives no longer than whom it works for, and knows nothing of this one."""

import asyncio
import io
from tempfile import SpooledTemporaryFile
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service import decoding
from service.client import unless_client_leaves
from tests.images import a_file
from workers.jobs.errors import InvalidRequest
from workers.media.first_frame import fitted

CONTENT = a_file("JPEG", (400, 90))


def children() -> list[psutil.Process]:
    """The Python processes of this one: a Redis of other tests may be there too."""
    return [child for child in psutil.Process().children() if "endless" in " ".join(child.cmdline())]


async def started() -> None:
    while not children():
        await asyncio.sleep(0.01)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "decoder", SimpleNamespace(__name__="tests.service.endless", REFUSED=3))


@pytest.mark.parametrize("on_disk", [False, True])
def test_it_gives_what_decoding_here_gives_wherever_the_file_lies(on_disk: bool) -> None:
    with SpooledTemporaryFile() if on_disk else io.BytesIO() as file:
        file.write(CONTENT)
        assert asyncio.run(decoding.fitted(file, 96, 64)) == fitted(CONTENT, 96, 64)
        with pytest.raises(InvalidRequest, match="cannot be read"):
            asyncio.run(decoding.fitted(io.BytesIO(b"no image"), 96, 64))


def test_it_ends_with_the_client(endless: None) -> None:
    async def leaves() -> Message:
        await started()
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        asyncio.run(unless_client_leaves(leaves, decoding.fitted(io.BytesIO(CONTENT), 96, 64)))
    assert children() == []


def test_one_that_does_not_end_is_ended(endless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "WAIT_SECONDS", 0.1)
    with pytest.raises(InvalidRequest, match="takes too long"):
        asyncio.run(decoding.fitted(io.BytesIO(CONTENT), 96, 64))
    assert children() == []


def test_it_is_told_none_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_PASSWORD", "secret")
    seen: list[Any] = []
    real = asyncio.create_subprocess_exec

    async def spying(*command: str, **options: Any) -> Any:
        seen.append(options["env"])
        return await real(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spying)
    asyncio.run(decoding.fitted(io.BytesIO(CONTENT), 96, 64))
    assert [set(environment) for environment in seen] == [{"PYTHONPATH"}]
