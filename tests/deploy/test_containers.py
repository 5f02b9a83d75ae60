"""Dockerfile and docker-compose.yml: valid, hardened, and in step with the code."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.containers import COMPOSE, as_written, default_of, seconds, started
from tests.deploy.tools import ROOT, program
from workers.process.attempt import STOP_GRACE_SECONDS
from workers.process.child import CLOSE_SECONDS

SERVICES = as_written()["services"]
WORKERS = {"demo": "worker-demo", "gpu": "worker", "gpu-2": "worker-2gpu", "gpu-4": "worker-4gpu"}
OURS = {"service", "webhooks", *WORKERS.values()}


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_compose_file_keeps_to_the_specification() -> None:
    run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE))


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="the specification is checked above")
@pytest.mark.parametrize("profile", WORKERS)
def test_docker_compose_reads_the_file(profile: str) -> None:
    run("docker-compose", "--profile", profile, "config", "--quiet")


def test_the_dockerfile_passes_its_linter() -> None:
    run(program("hadolint"), "Dockerfile")


@pytest.mark.parametrize(("profile", "worker"), WORKERS.items())
def test_a_profile_starts_the_whole_stack_with_one_kind_of_worker(profile: str, worker: str) -> None:
    assert set(started(profile)) == {"redis", "service", "webhooks", worker, "prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    for limit in ("mem_limit", "pids_limit", "cpus", "stop_grace_period"):
        assert service[limit], limit
    if name not in OURS:  # Ours have theirs in the Dockerfile.
        assert service["user"].split(":")[0] not in ("0", "root")
        assert service["healthcheck"]["test"]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), "a release, not a moving tag"


def test_nothing_is_published_beyond_loopback_and_redis_not_at_all() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"service", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


@pytest.mark.parametrize("name", sorted(OURS))
def test_prometheus_meets_each_process_in_one_network_under_one_name(name: str) -> None:
    assert set(SERVICES[name]["networks"]) & set(SERVICES["prometheus"]["networks"]) == {"metrics"}
    if name.startswith("worker"):
        assert SERVICES[name]["networks"]["metrics"] == {"aliases": ["worker"]}


def test_only_service_and_workers_reach_redis() -> None:
    assert {name for name, service in SERVICES.items() if "queue" in service["networks"]} == {"redis", *OURS}
    assert as_written()["networks"]["queue"] == {"internal": True}


def test_secrets_are_files_and_stand_nowhere_else() -> None:
    assert all(set(secret) == {"file"} for secret in as_written()["secrets"].values())
    for name in OURS:
        environment = SERVICES[name]["environment"]
        user = "worker" if name.startswith("worker") else name
        assert environment["SCALINGCACHE_REDIS_URL"] == f"redis://{user}@redis:6379/0"
        assert environment["SCALINGCACHE_REDIS_PASSWORD_FILE"] == f"/run/secrets/redis_{user}_password"
        others = {"service": ["api_key_pepper", "webhook_secret"], "webhooks": ["webhook_secret"]}
        assert SERVICES[name]["secrets"] == [f"redis_{user}_password", *others.get(name, [])]
    assert SERVICES["service"]["environment"]["SCALINGCACHE_PEPPER_FILE"] == "/run/secrets/api_key_pepper"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in SERVICES["grafana"]["environment"]


def test_the_secrets_script_makes_each_once(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    script.write_text((ROOT / "deploy" / "secrets.sh").read_text())
    run("sh", str(script))
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    run("sh", str(script))
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
    assert set(made) == set(as_written()["secrets"])
    assert all(len(text) == 32 for text in made.values())
    assert len(set(made.values())) == len(made)


@pytest.mark.parametrize("name", WORKERS.values())
def test_a_worker_has_time_to_drain_and_to_give_its_job_back(name: str) -> None:
    drain = float(default_of(str(SERVICES[name]["environment"]["SCALINGCACHE_DRAIN_SECONDS"])))
    assert seconds(default_of(SERVICES[name]["stop_grace_period"])) > drain + STOP_GRACE_SECONDS + CLOSE_SECONDS


def test_containers_wait_for_the_health_of_what_they_need() -> None:
    needs = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    assert needs == {
        "redis": set(),
        "service": {"redis"},
        "webhooks": {"redis"},
        **{worker: {"redis"} for worker in WORKERS.values()},
        "prometheus": {"service"},
        "grafana": {"prometheus"},
    }
    conditions = [condition for service in SERVICES.values() for condition in service.get("depends_on", {}).values()]
    assert all(condition == {"condition": "service_healthy"} for condition in conditions)


def test_a_worker_has_as_many_gpus_of_its_own_as_its_profile_says() -> None:
    gpus = {}
    for profile, name in WORKERS.items():
        devices = SERVICES[name].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        gpus[profile] = [default_of(each) for device in devices for each in device["device_ids"]]
    assert gpus == {"demo": [], "gpu": ["0"], "gpu-2": ["0", "1"], "gpu-4": ["0", "1", "2", "3"]}


def test_redis_keeps_what_was_accepted() -> None:
    lines = (ROOT / "deploy" / "redis" / "redis.conf").read_text().splitlines()
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(lines)


def test_every_path_that_the_files_name_exists() -> None:
    named = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    mounts = [default_of(name) for name in named if name.startswith("./")]
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    sources = [source for line in copies for source in line.split()]
    assert mounts
    assert sources
    assert [path for path in [*mounts, *sources] if not (ROOT / path).exists()] == []


def test_everything_the_dockerfile_copies_reaches_the_builder() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    assert {source for line in copies for source in line.split()} == allowed


def test_the_variables_of_the_compose_file_are_those_of_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+):-", COMPOSE.read_text()))
    shown = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    assert used == set(shown) - {"COMPOSE_PROFILES"}
    defaults: dict[str, Any] = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE.read_text()))
    assert {name: shown[name] for name in defaults} == defaults
