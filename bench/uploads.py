"""How much memory many large first frames take that come at once, and whether each is answered.

    python -m bench.uploads

Counts the service, its decoders, and the files of uploads, since a container may have those in memory too. Exits with 1
when a target is missed.
"""

import argparse
import io
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from bench.program import whole
from bench.serving import service
from demo.embedded_redis import EmbeddedRedis

MODEL = "wan-ti2v-tiny"
TARGET_MIB = 1024.0


def a_photo() -> bytes:
    """A JPEG of 24 megapixels and about 11 MB."""
    file = io.BytesIO()
    noise = Image.effect_noise((6000, 4000), 60)
    Image.merge("RGB", (noise, noise, noise)).save(file, "JPEG", quality=72)
    return file.getvalue()


class Watch(threading.Thread):
    """The most that a process, its children and its deleted open files took at a time, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process, self._ended = psutil.Process(pid), threading.Event()
        self.most = 0

    def run(self) -> None:
        """Look until `stop`."""
        while not self._ended.wait(0.05):
            try:
                processes = [self._process, *self._process.children(recursive=True)]
                memory = sum(process.memory_full_info().pss for process in processes)
                self.most = max(self.most, memory + self._files())
            except psutil.Error:
                continue

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self.join()

    def _files(self) -> int:
        total = 0
        for link in Path(f"/proc/{self._process.pid}/fd").iterdir():
            try:
                total += link.stat().st_blocks * 512 if str(link.readlink()).endswith("(deleted)") else 0
            except OSError:
                continue
        return total


def upload(port: int, photo: bytes) -> tuple[int, float]:
    """Status and seconds of one."""
    began = time.perf_counter()
    parts: dict[str, Any] = {
        "prompt": (None, "a"),
        "model": (None, MODEL),
        "input_reference": ("photo", photo, "image/jpeg"),
    }
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/videos", files=parts, timeout=300)
    return answer.status_code, time.perf_counter() - began


def main() -> int:
    """Measure and print; the process's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=whole(1), default=100)
    arguments = parser.parse_args()
    photo = a_photo()
    with EmbeddedRedis() as redis, service(redis.url, models=MODEL) as (port, pid):
        watch = Watch(pid)
        watch.start()
        with ThreadPoolExecutor(arguments.uploads) as pool:
            answers = list(pool.map(lambda _: upload(port, photo), range(arguments.uploads)))
        watch.stop()
    statuses, slowest = dict(Counter(status for status, _ in answers)), max(seconds for _, seconds in answers)
    most = watch.most / 2**20
    print(f"{arguments.uploads} uploads of {len(photo) / 1e6:.1f} MB: {statuses}, the slowest after {slowest:.1f} s")
    print(f"memory with the files of uploads {most:.0f} MiB, target {TARGET_MIB:g} MiB")
    return 0 if most <= TARGET_MIB and set(statuses) <= {200, 503} else 1


if __name__ == "__main__":
    sys.exit(main())
