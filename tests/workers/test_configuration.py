"""Where settings come from, what is refused, and that no secret is shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.settings import Settings as ServiceSettings
from workers.__main__ import app
from workers.configuration import Configuration, ConfigurationError
from workers.models.layers import CatalogueError
from workers.process.settings import Settings

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "demo/prompts/calibration.txt"


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The settings of whoever runs the tests stay out."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_secret_is_read_from_its_file_and_becomes_part_of_the_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("p/a ss\n")
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", "rediss://worker@redis:6379/1")
    monkeypatch.setenv("SCALINGCACHE_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    assert Settings().redis_address == "rediss://worker:p%2Fa%20ss@redis:6379/1"
    assert Settings().redis_url == "rediss://worker@redis:6379/1"


def test_without_a_password_the_address_is_the_url() -> None:
    assert Settings().redis_address == Settings().redis_url


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"REDIS_PASWORD": "x"}, "SCALINGCACHE_REDIS_PASWORD is not a setting"),
        ({"PORT_FILE": "x"}, "SCALINGCACHE_PORT_FILE is not a setting"),
        ({"REDIS_PASSWORD_FILE": "nowhere"}, "SCALINGCACHE_REDIS_PASSWORD_FILE: nowhere cannot be read"),
        ({"REDIS_PASSWORD_FILE": "x", "REDIS_PASSWORD": "y"}, "are both set; keep one"),
    ],
)
@pytest.mark.parametrize("settings", [Settings, ServiceSettings])
def test_a_variable_that_is_none_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, settings: type[Configuration], variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SCALINGCACHE_{name}", value)
    with pytest.raises(ConfigurationError, match=message):
        settings()


def test_service_and_worker_can_share_one_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Settings(), ServiceSettings()
    for settings in usual:
        for name in type(settings).model_fields:
            monkeypatch.setenv(f"SCALINGCACHE_{name.upper()}", "")
    assert (Settings(), ServiceSettings()) == usual, "an empty variable is none"
    monkeypatch.setenv("SCALINGCACHE_LEASE_SECONDS", "90")  # the worker's
    monkeypatch.setenv("SCALINGCACHE_PORT", "81")  # the service's
    assert (Settings().lease_seconds, ServiceSettings().port) == (90, 81)


def test_a_file_named_env_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    lines = ("SCALINGCACHE_LEASE_SECONDS=90", "SCALINGCACHE_MODELS=a,b", "COMPOSE_PROFILES=demo")
    (empty_folder / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("SCALINGCACHE_MODELS", "c")
    settings = Settings()
    assert (settings.lease_seconds, settings.models) == (90, ("c",))


def test_an_unknown_variable_in_the_file_is_refused_too(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("SCALINGCACHE_LEASE=90\n")
    with pytest.raises(ConfigurationError, match="SCALINGCACHE_LEASE is not a setting"):
        Settings()


def test_what_is_shown_can_be_read_again_and_has_no_secret(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_PASSWORD", "hunter2")
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", "redis://me:hunter2@redis/0")
    monkeypatch.setenv("SCALINGCACHE_MODELS", "a,b")
    shown = Settings().shown()
    assert "hunter2" not in shown
    assert "SCALINGCACHE_REDIS_PASSWORD=********" in shown
    assert "SCALINGCACHE_REDIS_URL=redis://me:********@redis/0" in shown
    monkeypatch.undo()
    monkeypatch.chdir(empty_folder)
    (empty_folder / ".env").write_text(shown)
    assert Settings().models == ("a", "b")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://:hunter2@redis/0", "redis://:********@redis/0"),
        ("rediss://redis/0?password=hunter2&timeout=3", "rediss://redis/0?password=********&timeout=3"),
        ("redis://redis:6379/0", "redis://redis:6379/0"),
    ],
)
def test_of_a_url_only_the_password_is_masked(monkeypatch: pytest.MonkeyPatch, value: str, shown: str) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", value)
    monkeypatch.setenv("SCALINGCACHE_WORKER", "gpu@host")
    lines = Settings().shown().splitlines()
    assert f"SCALINGCACHE_REDIS_URL={shown}" in lines
    assert "SCALINGCACHE_WORKER=gpu@host" in lines


@pytest.mark.parametrize(
    "url",
    [
        *("redis://:123/se@cret@127.0.0.1:6379/0", "redis://:1#se@cret@127.0.0.1:6379/0"),
        *("redis://:12?secret@127.0.0.1:6379/0", "redis://:s/ecret@h:6379/0", "unix:///tmp/x?password=a/secret#secret"),
    ],
)
def test_a_url_whose_password_ends_where_a_part_of_it_does_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SCALINGCACHE_REDIS_URL") as refused:
        Settings(redis_url=url)
    assert "cret" not in str(refused.value)
    shown = Settings.model_construct(redis_url=url).shown()
    assert "cret" not in shown and "********" in shown


@pytest.mark.parametrize("url", ["redis://:p%2Fa%40@redis/0", "unix:///run/user@1000/redis.sock?password=a@b/c"])
def test_a_password_that_is_written_as_urls_have_it_is_taken(url: str) -> None:
    assert Settings(redis_url=url).redis_address == url
    assert "********" in Settings(redis_url=url).shown()


def test_an_invalid_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALINGCACHE_LEASE_SECONDS", "hunter2")
    with pytest.raises(
        ConfigurationError, match="SCALINGCACHE_LEASE_SECONDS: Input should be a valid number"
    ) as refused:
        Settings()
    assert "hunter2" not in str(refused.value)


def test_the_worker_prints_the_settings_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_PASSWORD", "hunter2")
    monkeypatch.setenv("SCALINGCACHE_LEASE_SECONDS", "90")
    monkeypatch.setenv("SCALINGCACHE_CATALOGUE", str(ROOT / "models.toml"))
    monkeypatch.setenv("SCALINGCACHE_MODELS__WAN_TINY__DEFAULTS__SF", "8")
    result = CliRunner().invoke(app, ["run", "--print-config"], catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert "SCALINGCACHE_LEASE_SECONDS=90.0" in lines
    sf = "SCALINGCACHE_MODELS__WAN_TINY__DEFAULTS__SF"
    assert f"{sf}=8  # {sf}" in lines
    assert f"SCALINGCACHE_MODELS__WAN_TINY__DEFAULTS__STEPS=50  # {ROOT / 'models.toml'}" in lines
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    "command",
    [("service",), ("service", "--print-config"), ("workers", "run"), ("workers", "run", "--print-config")],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("RETENTION_SECONDS", "soon", "SCALINGCACHE_RETENTION_SECONDS: "),
        ("REDIS_URL", "http://me:hunter2@redis", "SCALINGCACHE_REDIS_URL: must be redis://"),
        ("RETENTION", "1", "SCALINGCACHE_RETENTION is not a setting; did you mean SCALINGCACHE_RETENTION_SECONDS?"),
        ("CATALOGUE", "nowhere.toml", "nowhere.toml"),
        ("MODELS", "sora", "model 'sora' is not served here"),
    ],
)
def test_a_wrong_variable_is_one_line_and_exit_code_2_in_every_program(
    command: tuple[str, ...], variable: str, value: str, words: str
) -> None:
    catalogue = {"SCALINGCACHE_CATALOGUE": str(ROOT / "models.toml")}
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **catalogue, f"SCALINGCACHE_{variable}": value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert "https://" not in line
    assert line.startswith(f"{command[0]}: ") and words in line
    assert "hunter2" not in line


@pytest.mark.parametrize("command", ["generate", "calibrate", "evaluate"])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SCALINGCACHE_CATALOGUE=other.toml", "other.toml: No such file or directory"),
        ("SCALINGCACHE_CATALOG=x", "_CATALOG is not a setting, in .env; did you mean SCALINGCACHE_CATALOGUE?"),
        ("SCALINGCACHE_TORCH_THREADS=0", "SCALINGCACHE_TORCH_THREADS in .env: Input should be greater than"),
    ],
)  # fmt: skip
def test_an_offline_command_reads_the_same_settings(empty_folder: Path, command: str, line: str, words: str) -> None:
    (empty_folder / ".env").write_text(line + "\n")
    given = ["--prompt", "x", "-o", "x.mp4"] if command == "generate" else ["--prompts", str(PROMPTS)]
    with pytest.raises((ConfigurationError, CatalogueError)) as refused:
        CliRunner().invoke(app, [command, "--model", "wan-tiny", *given], catch_exceptions=False)
    assert words in str(refused.value)


def test_an_empty_variable_takes_away_what_the_file_says(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    lines = ["CATALOGUE_OVERRIDES=site.toml", "REDIS_PASSWORD=x", "TORCH_THREADS=3", "LEASE_SECONDS=90"]
    (empty_folder / ".env").write_text("\n".join(f"SCALINGCACHE_{line}" for line in lines))
    for name in ("CATALOGUE_OVERRIDES", "REDIS_PASSWORD", "TORCH_THREADS"):
        monkeypatch.setenv(f"SCALINGCACHE_{name}", "")
    settings = Settings()
    assert (settings.catalogue_overrides, settings.redis_password, settings.torch_threads) == (None, None, None)
    assert settings.lease_seconds == 90
