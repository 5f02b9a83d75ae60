"""What the containers would do, without a container engine: install, start, be healthy, run a job, stop.

The Dockerfile's own steps into empty folders, then the commands of docker-compose.yml with its environment, as an
unprivileged user, from a tree that cannot be written, on loopback.
"""

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deploy.containers import as_written, default_of, replaced, seconds
from tests.deploy.image import Builder, Image
from tests.deploy.observed import free_port
from tests.deploy.tools import ROOT, program
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as another user"),
]
SERVICES = as_written()["services"]
USER = 10001


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own folders, which no other user may enter."""
    path = Path(tempfile.mkdtemp(prefix="containers-"))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


@pytest.fixture(scope="module")
def builder(folder: Path) -> Builder:
    return Builder(folder)


@pytest.fixture(scope="module")
def service_image(builder: Builder) -> Image:
    return read_only(builder.build("service"))


@pytest.fixture(scope="module")
def worker_image(builder: Builder) -> Image:
    return read_only(builder.build("worker"))


def read_only(image: Image) -> Image:
    volumes = [image.inside(path) for path in ("/var/lib/scalingcache/artifacts", "/var/cache/huggingface")]
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(image.root)], check=True)
    subprocess.run(["chmod", "u+w", *volumes], check=True)
    return image


def size(folder: Path) -> int:
    """In MiB, as `du` counts it."""
    printed = subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True, check=True).stdout
    return int(printed.split()[0])


def test_the_service_image_has_no_torch_and_its_size_is_the_one_stated(service_image: Image) -> None:
    assert not (service_image.site_packages / "torch").exists()
    assert size(service_image.site_packages) == pytest.approx(stated("service"), rel=0.1)


def test_the_size_of_the_worker_image_is_the_one_stated(worker_image: Image) -> None:
    if not list(worker_image.site_packages.glob("torch-*+cpu.dist-info")):
        pytest.skip("the size stated is that with torch for CPU")
    assert size(worker_image.site_packages) == pytest.approx(stated("worker"), rel=0.1)


def stated(target: str) -> int:
    row = re.search(rf"\| `{target}` \| ([\d,]+) MiB", (ROOT / "docs" / "deploy.md").read_text())
    assert row is not None
    return int(row[1].replace(",", ""))


def test_they_run_a_job_and_stop_in_time(folder: Path, service_image: Image, worker_image: Image) -> None:
    with ExitStack() as undo:
        stack = Stack(folder)
        redis = undo.enter_context(stack.redis())
        service = undo.enter_context(stack.started("service", service_image))
        worker = undo.enter_context(stack.started("worker-demo", worker_image))
        for process in (redis, service, worker):
            wait_until(process.healthy, seconds=300, awaited=f"{process.name} is healthy")

        url = f"http://127.0.0.1:{stack.port}"
        assert httpx.post(f"{url}/v1/videos", json={"prompt": "a red circle"}).status_code == 401
        made = service.run([*service_image.command, "keys", "create", "acme"])
        assert made.returncode == 0, made.stderr.decode()
        key = {"authorization": f"Bearer {made.stdout.decode().strip()}"}
        with httpx.Client(base_url=url, headers=key, timeout=30) as client:
            wish = {"prompt": "a red circle", "steps": 4, "frames": 5, "size": "64x64"}
            video = client.post("/v1/videos", json=wish).raise_for_status().json()
            url = f"/v1/videos/{video['id']}"
            done = wait_until(lambda: ended(client, url), seconds=300, awaited=url)
            assert done["status"] == "completed", done
            assert client.get(f"{url}/content").content[4:8] == b"ftyp"

        for process in (worker, service, redis):
            process.stop()
    assert written(service_image) == []
    assert written(worker_image) == []


def ended(client: httpx.Client, url: str) -> dict[str, Any] | None:
    video: dict[str, Any] = client.get(url).raise_for_status().json()
    return video if video["status"] in ("completed", "failed") else None


def written(image: Image) -> list[Path]:
    """Files that the unprivileged user owns, outside of the volumes."""
    volumes = (image.inside("/var/lib/scalingcache/artifacts"), image.inside("/var/cache/huggingface"))
    return [
        path
        for path in image.root.rglob("*")
        if path.lstat().st_uid == USER and not str(path).startswith(volumes) and not stat.S_ISLNK(path.lstat().st_mode)
    ]


@dataclass
class Running:
    """A process that stands for a container."""

    name: str
    process: subprocess.Popen[bytes]
    run: Callable[[list[str]], subprocess.CompletedProcess[bytes]]
    health: list[str]
    grace: float
    log: Path

    def healthy(self) -> bool:
        assert self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text()}"
        return self.run(self.health).returncode == 0

    def stop(self) -> None:
        """SIGTERM, as docker stop sends it; the end has to come within the grace period."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=self.grace)
        assert status in (0, -signal.SIGTERM, 128 + signal.SIGTERM), self.log.read_text()
        assert time.monotonic() - began < self.grace


class Stack:
    """The compose file's names and paths, as they are on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "host"
        self._folder.mkdir()
        self._folder.chmod(0o755)
        self.port, self._redis_port, self._metrics_port = free_port(), free_port(), free_port()
        self._secrets = {
            f"/run/secrets/{name}": str(self._mounted(name, f"s3cret-of-{name}", 0o444))
            for name in SERVICES["redis"]["secrets"]
        }
        # In a container what is mounted below /run/secrets is its own; here others could read it.
        pepper = self._mounted("api_key_pepper", "s3cret-of-this-test-and-long-enough", 0o400)
        os.chown(pepper, USER, USER)
        self._secrets["/run/secrets/api_key_pepper"] = str(pepper)
        webhooks = self._mounted("webhook_secret", "s3cret-of-this-test-and-long-enough", 0o444)
        self._secrets["/run/secrets/webhook_secret"] = str(webhooks)
        self._artifacts = self._made("artifacts")

    @contextmanager
    def redis(self) -> Iterator[Running]:
        entry = SERVICES["redis"]
        text = (ROOT / "deploy" / "redis" / "redis.conf").read_text()
        users = (ROOT / "deploy" / "redis" / "users.acl").read_text()
        data, run = self._made("redis"), self._made("run-redis")
        text = text.replace("dir /data", f"dir {data}\nport {self._redis_port}").replace("bind *", "bind 127.0.0.1")
        paths = {
            "/etc/redis/redis.conf": str(self._mounted("redis.conf", text, 0o444)),
            "/etc/redis/users.acl": str(self._mounted("users.acl", users, 0o444)),
            **self._secrets,
            "/run/redis": str(run),
            "redis-server": str(self._copied("redis-server")),
            "redis-cli": f"{self._copied('redis-cli')} -p {self._redis_port}",
            "$$": "$",
        }
        command = [replaced(part, paths) for part in entry["command"]]
        health = ["/bin/sh", "-c", replaced(entry["healthcheck"]["test"][1], paths)]
        with self._process("redis", command, health, {"PATH": os.environ["PATH"]}, self._folder) as running:
            yield running

    @contextmanager
    def started(self, name: str, image: Image) -> Iterator[Running]:
        """A service of the compose file, from its image."""
        entry = SERVICES[name]
        assert image.user == f"{USER}:{USER}"
        composed = {key: default_of(str(value)) for key, value in entry["environment"].items()}
        environment = image.environment | {key: image.inside(value) for key, value in composed.items()}
        environment |= {
            "HOME": str(self._made(f"tmp-{name}")),
            "TMPDIR": str(self._made(f"tmp-{name}")),
            "SCALINGCACHE_REDIS_URL": environment["SCALINGCACHE_REDIS_URL"].replace(
                "redis:6379", f"127.0.0.1:{self._redis_port}"
            ),
            "SCALINGCACHE_REDIS_PASSWORD_FILE": self._secrets[environment["SCALINGCACHE_REDIS_PASSWORD_FILE"]],
            "SCALINGCACHE_ARTIFACTS": str(self._artifacts),
            "OMP_NUM_THREADS": "1",
        }
        for file in ("SCALINGCACHE_PEPPER_FILE", "SCALINGCACHE_WEBHOOK_SECRET_FILE"):
            if secret := environment.get(file):
                environment[file] = self._secrets[secret]
        for variable, value in {
            "SCALINGCACHE_HOST": "127.0.0.1",
            "SCALINGCACHE_PORT": str(self.port),
            "SCALINGCACHE_METRICS_HOST": "127.0.0.1",
            "SCALINGCACHE_METRICS_PORT": str(self._metrics_port),
        }.items():
            if variable in image.env:
                environment[variable] = value
        assert image.entrypoint == ["tini", "--"]
        command = [program("tini"), "-s", "--", *image.command]
        folder = Path(image.inside(image.workdir))
        with self._process(name, command, image.health, environment, folder) as running:
            yield running

    @contextmanager
    def _process(
        self, name: str, command: list[str], health: list[str], environment: Mapping[str, str], folder: Path
    ) -> Iterator[Running]:
        def run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                command,
                env=environment,
                cwd=folder,
                user=USER,
                group=USER,
                capture_output=True,
                check=False,
                timeout=60,
            )

        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, user=USER, group=USER, stdout=output, stderr=subprocess.STDOUT
            )
        grace = seconds(default_of(SERVICES[name]["stop_grace_period"]))
        try:
            yield Running(name, process, run, health, grace, log)
        finally:
            process.kill()
            process.wait()

    def _mounted(self, name: str, text: str, mode: int) -> Path:
        path = self._folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def _copied(self, name: str) -> Path:
        """A program from where the other user may not be able to reach it."""
        return Path(shutil.copy(program(name), self._folder / name))

    def _made(self, name: str) -> Path:
        path = self._folder / name
        path.mkdir(exist_ok=True)
        os.chown(path, USER, USER)
        return path
