"""A server that speaks S3, in a process of its own: it can be killed, and it can hang."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from tests.waiting import wait_until
from workers.jobs.s3_location import S3Location, Waits

BUCKET = "results"
#: For a store that is to answer, however busy the machine is.
PATIENT = Waits(connect=30.0, request=60.0, retries=3, retry=60.0)
#: For one that does not: a test waits for all of them.
WAITS = Waits(connect=0.5, request=1.0, retries=1, retry=1.0)
KEYS = ("access", "secret")


@dataclass
class S3Server:
    """Keeps what it holds in memory: one that was killed comes back empty."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def location(self, prefix: str, bucket: str = BUCKET) -> S3Location:
        return S3Location(bucket, prefix, "us-east-1", self.endpoint, *KEYS)

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._listens, seconds=120, awaited="the S3 server")
        self.client().create_bucket(Bucket=BUCKET)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections and answers nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def client(self):  # type: ignore[no-untyped-def]
        """Another library's view of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEYS[0],
            aws_secret_access_key=KEYS[1],
            config=Config(retries={"max_attempts": 1}),
        )

    def names(self, prefix: str = "") -> list[str]:
        listed = self.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [str(found["Key"]) for found in listed]

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, "the S3 server ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def an_s3_server() -> Iterator[S3Server]:
    # Bound and not listening: nobody else is given the port, and the server may take it.
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        server = S3Server(reserved.getsockname()[1])
        try:
            server.start()
            yield server
        finally:
            server.stop()


def environment(server: S3Server, prefix: str, folder: Path) -> dict[str, str]:
    """The settings of a process that keeps its results there."""
    return {
        "SCALINGCACHE_STORAGE_URL": f"s3://{BUCKET}/{prefix}",
        "SCALINGCACHE_STORAGE_ENDPOINT": server.endpoint,
        "SCALINGCACHE_STORAGE_ACCESS_KEY": KEYS[0],
        "SCALINGCACHE_STORAGE_SECRET_KEY": KEYS[1],
        "SCALINGCACHE_ARTIFACTS": str(folder),
    }
