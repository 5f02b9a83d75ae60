"""The service as its own process on a real port."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from service.settings import Settings


class Served:
    """A running service. Its log is read as it comes, or the pipe would fill up and stop it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[dict[str, Any]] = []
        self._listening: Future[str] = Future()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def address(self) -> str:
        return self._listening.result(timeout=60)

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self) -> tuple[int, list[dict[str, Any]]]:
        """Ask it to end; its exit status and all that it logged."""
        self._process.terminate()
        status = self._process.wait(timeout=60)
        self._reader.join()
        return status, self._lines

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for text in lines:
                line = json.loads(text)
                self._lines.append(line)
                if line["event"] == "listening":
                    self._listening.set_result(line["address"])


def environment(settings: Settings) -> dict[str, str]:
    values = {f"SCALINGCACHE_{name.upper()}": _text(value) for name, value in settings.model_dump().items()}
    return {**os.environ, **values}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """`python -m service` on a free port; ends with the block."""
    command = [sys.executable, "-m", "service"]
    service = Served(subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, text=True))
    try:
        yield service
    finally:
        service.end()
