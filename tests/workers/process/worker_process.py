"""A worker as a real process, for tests of its life and death."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


class WorkerProcess:
    """Started at once; killed, with its child, at the end of the `with` block. Logs are read as JSON lines."""

    def __init__(self, module: str, redis_url: str, folder: Path, *arguments: str, **settings: object) -> None:
        self._log_path = folder / f"worker-{len(list(folder.glob('worker-*.log')))}.log"
        variables = {
            "redis_url": redis_url,
            "artifacts": folder / "artifacts",
            "catalogue": ROOT / "models.toml",
            "lease_seconds": 10,
            "beat_seconds": 0.1,
            **settings,
        }
        (folder / "artifacts").mkdir(exist_ok=True)
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ
                | {f"SCALINGCACHE_{name.upper()}": str(value) for name, value in variables.items()}
                | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            )

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Inside, the supervisor does nothing."""
        self.signal(signal.SIGSTOP)
        yield
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """As `kill -9` on the supervisor alone; the child has to notice by itself."""
        self.process.kill()
        self.process.wait()

    def ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def child(self) -> psutil.Process:
        """The process that holds the model."""
        return wait_until(self._child, awaited="a child process")

    def _child(self) -> psutil.Process | None:
        for process in psutil.Process(self.process.pid).children():
            if "spawn_main" in " ".join(process.cmdline()):
                return process
        return None

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Every log line of this event with these fields."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event and fields.items() <= line.items()]

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample of its metrics; only with the setting `metrics_port=0`."""
        port = wait_until(lambda: self.logged("metrics served"))[0]["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        samples = (sample for family in families for sample in family.samples)
        return next((sample.value for sample in samples if sample.name == name and sample.labels == labels), None)

    def log(self) -> str:
        return self._log_path.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = []
        if not self.ended():
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if error is not None:
            print(self.log())  # noqa: T201  # pytest shows it with the failure
