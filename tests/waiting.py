"""In place of sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], *, seconds: float = 30.0, what: str = "") -> T:
    """The predicate's first true value. Fails the test when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what or predicate}; last value {value!r}")
        time.sleep(0.01)
