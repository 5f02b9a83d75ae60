from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.configuration import ConfigurationError
from workers.jobs.storage import StorageSettings
from workers.process.settings import Settings


def test_the_defaults_work_without_any_variable() -> None:
    settings = Settings()
    assert (settings.lease_seconds, settings.beat_seconds, settings.models) == (60, 15, ())
    assert settings.worker


def test_variables_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALINGCACHE_MODELS", "wan-tiny, flux")
    monkeypatch.setenv("SCALINGCACHE_ARTIFACTS", "/data")
    monkeypatch.setenv("SCALINGCACHE_TORCH_THREADS", "2")
    settings = Settings()
    assert (settings.models, settings.artifacts, settings.torch_threads) == (("wan-tiny", "flux"), Path("/data"), 2)


def test_a_beat_that_is_slower_than_the_lease_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"beat_seconds 2\.0 must be less than lease_seconds 1\.0"):
        Settings(lease_seconds=1.0, beat_seconds=2.0)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().lease_seconds = 1.0  # type: ignore[misc]


def test_every_setting_is_used() -> None:
    files = [*Path("workers/process").glob("*.py"), Path("workers/__main__.py")]
    used = "".join(path.read_text() for path in files if path.name != "settings.py")
    used = used.replace("settings.redis_address", "settings.redis_url settings.redis_password")
    used = used.replace("settings.read_catalogue", "settings.catalogue settings.catalogue_overrides settings.models")
    storage = " ".join(f"settings.{name}" for name in StorageSettings.model_fields)
    used = used.replace("settings.s3", storage)
    assert [name for name in Settings.model_fields if f"settings.{name}" not in used] == []


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation is float]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e300", "-1"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_time_that_nobody_could_wait_for_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SCALINGCACHE_{name.upper()}", value)
    with pytest.raises(ConfigurationError, match="(?i)" + name):
        Settings()


@pytest.mark.parametrize("name", ["w[/]", "[red]w", "", "a b", "w\x1b[31m", "w\n", "w" * 129])
def test_a_worker_is_named_so_that_every_screen_can_show_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match="WORKER"):
        Settings(worker=name)
