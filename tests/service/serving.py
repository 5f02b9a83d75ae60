"""The service as its own process on a real port."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.settings import Settings


@dataclass
class Served:
    process: subprocess.Popen[str]
    address: str


def environment(settings: Settings) -> dict[str, str]:
    values = {f"SCALINGCACHE_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return {**os.environ, **values}


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """`python -m service` on a free port; ends with the block."""
    command = [sys.executable, "-m", "service"]
    process = subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = (json.loads(line) for line in process.stdout)
        address = next(line["address"] for line in lines if line["event"] == "listening")
        yield Served(process, address)
    finally:
        process.terminate()
        process.communicate(timeout=30)
