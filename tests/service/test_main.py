"""python -m service: starts, logs, ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.service.serving import environment, served
from workers.jobs.storage import StorageSettings


def test_it_serves_on_a_port_until_sigterm_and_ends_well(settings: Settings) -> None:
    with served(settings) as service:
        assert httpx.get(f"{service.address}/healthz").json() == {"status": "ok"}
        status, lines = service.end()
    assert status in (0, -signal.SIGTERM)
    assert [line["event"] for line in lines][-1].startswith("Finished")


def test_every_log_line_is_json_with_the_request_id_and_never_the_prompt(settings: Settings) -> None:
    secret = "my-secret-prompt"
    with served(settings) as service:
        made = httpx.post(f"{service.address}/v1/videos", json={"prompt": secret}, headers={"x-request-id": "mine"})
        httpx.post(f"{service.address}/v1/videos", json={"prompt": secret, "nope": secret, "sf": 1})
        httpx.post(f"{service.address}/v1/videos", content=secret)
        httpx.get(f"{service.address}/v1/videos/{made.json()['id']}")
        _, lines = service.end()
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["status"], line["error"]) for line in requests] == [
        (200, None),
        (400, "invalid_request"),
        (415, "unsupported_media_type"),
        (200, None),
    ]
    assert requests[0]["request_id"] == "mine"
    assert requests[3]["route"] == "/v1/videos/{video_id}"
    assert secret not in json.dumps(lines)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("catalogue", "nowhere.toml", "nowhere.toml"),
        ("port", "http", "SCALINGCACHE_PORT: "),
        ("redis_url", "nowhere", "SCALINGCACHE_REDIS_URL: must be redis://"),
        ("retention_seconds", "0", "SCALINGCACHE_RETENTION_SECONDS: Input should be greater than 0"),
    ],
)
def test_a_wrong_setting_is_told_and_nothing_starts(settings: Settings, setting: str, value: str, message: str) -> None:
    wrong = environment(settings) | {f"SCALINGCACHE_{setting.upper()}": value}
    ended = subprocess.run([sys.executable, "-m", "service"], env=wrong, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert message in ended.stderr and "Traceback" not in ended.stderr


def test_every_setting_is_used(settings: Settings) -> None:
    used = "".join(path.read_text() for path in Path("service").rglob("*.py") if path.name != "settings.py")
    used = used.replace("settings.redis_address", "settings.redis_url settings.redis_password")
    used = used.replace("settings.read_catalogue", "settings.catalogue settings.catalogue_overrides settings.models")
    used = used.replace("settings.webhook_root", "settings.webhook_secret")
    used = used.replace("settings.webhook_allowed", "settings.webhook_networks")
    used = used.replace("settings.s3", " ".join(f"settings.{name}" for name in StorageSettings.model_fields))
    for name in Settings.model_fields:
        assert f"settings.{name}" in used


def command(settings: Settings, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "service", *arguments]
    variables = environment(settings) | {f"SCALINGCACHE_{name.upper()}": value for name, value in variables.items()}
    return subprocess.run(run, env=variables, capture_output=True, text=True, timeout=60, check=False)


def test_the_settings_in_force_are_printed_without_secrets(settings: Settings) -> None:
    done = command(settings, "--print-config", redis_password="hunter2")
    assert done.returncode == 0
    assert f"SCALINGCACHE_CATALOGUE={settings.catalogue}" in done.stdout.splitlines()
    assert "hunter2" not in done.stdout + done.stderr


def test_the_health_command_follows_the_service(settings: Settings) -> None:
    with served(settings) as service:
        port = service.address.rpartition(":")[2]
        assert command(settings, "health", host="0.0.0.0", port=port, authentication="keys").returncode == 0
    done = command(settings, "health", port=port)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
