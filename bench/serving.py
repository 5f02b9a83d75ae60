"""The service as its own process on a free port, for measurements of how it behaves."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def service(redis_url: str, **variables: str) -> Iterator[tuple[int, int]]:
    """A running service, its settings by name; its port and process id."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        settings = {"redis_url": redis_url, "artifacts": f"{folder}/artifacts", "port": "0"}
        settings |= {"authentication": "none"} | variables
        environment = os.environ | {f"SCALINGCACHE_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "service"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = next(line for line in process.stdout if '"listening"' in line)
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=log)
        try:
            yield int(line.split("127.0.0.1:")[1].split('"')[0]), process.pid
        finally:
            process.terminate()
            process.wait()
            drain.wait()
