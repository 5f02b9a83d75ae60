"""SIGTERM and SIGINT, as a question that the main loop asks."""

import signal
import time
from types import FrameType


class Shutdown:
    """Whether the process was asked to end, and when.

    The handler only sets a number: it runs between any two instructions of the main thread, which may be holding the
    very lock that, for instance, `threading.Event.set` needs.
    """

    def __init__(self) -> None:
        self._requested_at: float | None = None
        self._impatient = False

    def install(self) -> None:
        """Take over SIGTERM and SIGINT. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._requested_at is not None

    def over(self, seconds: float) -> bool:
        """True `seconds` after the signal, or at once when a second one came."""
        if self._requested_at is None:
            return False
        return self._impatient or time.monotonic() - self._requested_at >= seconds

    def sleep(self, seconds: float) -> None:
        """Wait, but not on after a signal."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._impatient = self.requested
        self._requested_at = self._requested_at or time.monotonic()
