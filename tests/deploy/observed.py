"""A real Prometheus that watches a real service and worker, while jobs of two models run, fail and are cancelled."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from service.settings import Settings
from service.webhook_metrics import WebhookMetrics
from tests.catalogues import a_micro_model, catalogue_text
from tests.deploy.containers import as_written, replaced, seconds
from tests.deploy.tools import ROOT, program
from tests.queues import Queue
from tests.service.serving import served
from tests.waiting import wait_until
from tests.workers.process.worker_process import WorkerProcess
from workers.jobs.job import JobKey, Priority, new_job_id
from workers.models.catalogue import Catalogue

CALIBRATED, PLAIN = "micro-calibrated", "micro-plain"


def write_catalogue(folder: Path, checkpoint: Path) -> Path:
    """Two models of one checkpoint: the first is accelerated, the second is not: by the paper, without coefficients."""
    path = folder / "models.toml"
    calibrated = a_micro_model(CALIBRATED, "wan", checkpoint, coefficients="coefficients.json", shadow_share=1.0)
    path.write_text(catalogue_text(calibrated, a_micro_model(PLAIN, "wan", checkpoint, method="paper")))
    return path


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression; fails with what Prometheus says when it is wrong."""
        body = httpx.post(f"{self.url}/api/v1/query", data={"query": expression}, timeout=30).json()
        assert body["status"] == "success", f"{expression}: {body['error']}"
        result = body["data"]["result"]
        assert body["data"]["resultType"] == "vector", expression
        return list(result)

    def value(self, expression: str) -> float:
        """The one number of an expression, 0 when there is none."""
        samples = self.query(expression)
        assert len(samples) <= 1, samples
        return float(samples[0]["value"][1]) if samples else 0.0


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """Started by the compose file's command on this repository's files, healthy by its health check, ended in its time.

    Only addresses, paths and the pace are this machine's; `targets` has an address for each `name:port` to be scraped.
    """
    entry, port = as_written()["services"]["prometheus"], free_port()
    files, data = folder / "etc-prometheus", folder / "prometheus"
    _write_files(files, targets)
    paths = {"=/etc/prometheus/": f"={files}/", "=/prometheus": f"={data}"}
    command = [program("prometheus"), *(replaced(part, paths) for part in entry["command"])]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    wget, *arguments = entry["healthcheck"]["test"][1:]
    check = [program(wget), *(replaced(part, {":9090/": f":{port}/"}) for part in arguments)]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(
            lambda: subprocess.run(check, check=False, capture_output=True).returncode == 0, awaited="prometheus"
        )
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        assert process.wait(timeout=seconds(entry["stop_grace_period"])) == 0, (folder / "prometheus.log").read_text()


def _write_files(folder: Path, targets: Mapping[str, str]) -> None:
    """What the container has mounted, with addresses in place of the names that Docker's DNS would resolve."""
    shutil.copytree(ROOT / "deploy" / "prometheus", folder)
    configuration = yaml.safe_load((folder / "prometheus.yml").read_text())
    # A scrape may take as long as the pace: a worker with much to do needs a moment to answer.
    configuration["global"] = {"scrape_interval": "3s", "evaluation_interval": "3s"}
    for job in configuration["scrape_configs"]:
        (discovery,) = job.pop("dns_sd_configs")
        job["static_configs"] = [{"targets": [targets[f"{name}:{discovery['port']}"] for name in discovery["names"]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    rules = yaml.safe_load((folder / "rules.yml").read_text())
    for group in rules["groups"]:
        group["interval"] = configuration["global"]["evaluation_interval"]
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))


@contextmanager
def observed(folder: Path, redis_url: str, catalogue: Path) -> Iterator[Prometheus]:
    """Everything above, running; the jobs have run and been scraped when the block begins."""
    port = free_port()
    settings = Settings(
        redis_url=redis_url, artifacts=folder / "artifacts", catalogue=catalogue, port=0, authentication="none"
    )
    with ExitStack() as undo:
        worker = WorkerProcess(
            "workers", redis_url, folder, "run", catalogue=catalogue, metrics_port=port, torch_threads=1,
            lease_seconds=60,  # A machine with much to do must not lose a job here.
            idle_seconds=1,
        )  # fmt: skip
        undo.enter_context(worker)
        service = undo.enter_context(served(settings))
        webhooks = undo.enter_context(WebhookMetrics().served("127.0.0.1", 0))
        targets = {
            "service:8000": service.address.removeprefix("http://"),
            "webhooks:9200": f"127.0.0.1:{webhooks}",
            "worker:9100": f"127.0.0.1:{port}",
        }
        watcher = undo.enter_context(prometheus(folder, targets))
        client = undo.enter_context(httpx.Client(base_url=service.address, timeout=30))
        wait_until(lambda: worker.logged("models loaded"), seconds=300, awaited="models loaded")
        wait_until(lambda: watcher.value('sum(scalingcache_worker_state{state="idle"})') == 1, awaited="first scrapes")
        for round_ in (1, 2):  # Prometheus sees an increase only between two scrapes of a series.
            _run_jobs(client, redis_url, catalogue)
            wait_until(
                lambda done=round_: watcher.value('sum(scalingcache_jobs_total{outcome="completed"})') == 5 * done,
                seconds=60,
                awaited="a scrape of the finished jobs",
            )
            wait_until(
                lambda done=round_: watcher.value('sum(scalingcache_reruns_total{end="completed"})') == 3 * done,
                seconds=120,
                awaited="a scrape of the shadows of the accelerated jobs",
            )
        yield watcher


def _run_jobs(client: httpx.Client, redis_url: str, catalogue: Path) -> None:
    for model, sf in ((CALIBRATED, 3), (CALIBRATED, 4), (CALIBRATED, 6), (CALIBRATED, 12), (PLAIN, 4)):
        _wait(client, client.post("/v1/videos", json={"model": model, "prompt": "red circle", "sf": sf}), "completed")
    _wait(client, _fails(redis_url, catalogue), "failed")
    running = client.post("/v1/videos", json={"model": PLAIN, "prompt": "red circle", "steps": 50, "size": "64x64"})
    at = f"/v1/videos/{running.json()['id']}"
    wait_until(lambda: client.get(at).json()["status"] == "in_progress", awaited="a job runs")
    queued = client.post("/v1/videos", json={"model": PLAIN, "prompt": "red circle"})
    for answer in (queued, running):
        client.post(f"/v1/videos/{answer.json()['id']}/cancel")
        _wait(client, answer, "failed")


def _fails(redis_url: str, catalogue: Path) -> str:
    """A job that the worker refuses, as after the limits were lowered."""
    queue = Queue.open(redis_url)
    request = Catalogue.read(catalogue).request(CALIBRATED, "red circle").model_copy(update={"steps": 1000})
    job = queue.jobs.submit(
        JobKey("default", new_job_id(CALIBRATED)), priority=Priority.NORMAL, request=request, metadata={}
    )
    queue.close()
    return job.id


def _wait(client: httpx.Client, made: httpx.Response | str, status: str) -> None:
    if isinstance(made, httpx.Response):
        assert made.status_code == 200, made.text
        made = made.json()["id"]
    url = f"/v1/videos/{made}"
    wait_until(lambda: client.get(url).json()["status"] in ("completed", "failed"), seconds=300, awaited=url)
    shown = client.get(url).json()
    assert shown["status"] == status, json.dumps(shown)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
