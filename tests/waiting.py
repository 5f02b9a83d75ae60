"""In place of sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], *, seconds: float = 120.0, awaited: str = "") -> T:
    """The predicate's first true value. Fails the test when there is none within `seconds`."""
    deadline, pause = time.monotonic() + seconds, 0.001
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {awaited or predicate}; last value {value!r}")
        time.sleep(pause)
        pause = min(2 * pause, 0.05)  # What takes long is not looked at all the time.
