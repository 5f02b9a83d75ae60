"""Asking what may hang, as a network file system does whose server is gone, for no longer than a time."""

import errno
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Calls one at a time. A call that hangs keeps its one thread until it comes back; no other is begun meanwhile."""

    def __init__(self, seconds: float) -> None:
        """seconds: how long an answer is waited for."""
        self._seconds = seconds
        self._free = Lock()

    def ask(self, call: Callable[[], T]) -> T:
        """The call's answer. Raises what the call raises, and `TimeoutError`, which is an `OSError`, without one."""
        if not self._free.acquire(timeout=self._seconds):
            raise self._gave_up()
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(call())
            except BaseException as error:
                answer.set_exception(error)
            finally:
                self._free.release()

        try:
            Thread(target=work, daemon=True).start()  # A pool's threads would be waited for when the process ends.
        except BaseException:  # No thread, as at a limit on them: nobody else would free the place.
            self._free.release()
            raise
        try:
            return answer.result(self._seconds)
        except TimeoutError:
            if answer.done():
                raise
            raise self._gave_up() from None

    def _gave_up(self) -> TimeoutError:
        return TimeoutError(errno.ETIMEDOUT, f"did not answer within {self._seconds:g} s")
