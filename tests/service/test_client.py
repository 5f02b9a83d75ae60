"""Work that ends when its client leaves."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.client import unless_client_leaves


async def leaves() -> Message:
    return {"type": "http.disconnect"}


async def stays() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def deaf_to_the_first_cancellations(times: int) -> str:
    while times:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times -= 1
    await asyncio.Event().wait()
    return "never"


@pytest.mark.parametrize("times", [0, 1, 3])
def test_work_ends_with_its_client_also_where_a_library_swallows_cancellations(times: int) -> None:
    with pytest.raises(ClientDisconnect):
        asyncio.run(asyncio.wait_for(unless_client_leaves(leaves, deaf_to_the_first_cancellations(times)), 30))


def test_what_the_work_gives_is_given_to_a_client_that_stays() -> None:
    async def work() -> str:
        return "made"

    assert asyncio.run(asyncio.wait_for(unless_client_leaves(stays, work()), 30)) == "made"
