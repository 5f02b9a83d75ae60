"""The secret behind the API keys: what is none is told at the start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import pepper
from service.pepper import read_pepper
from service.settings import Settings
from tests.service.accounts import with_keys
from tests.service.serving import environment
from workers.configuration import ConfigurationError


def a_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    (path := folder / "pepper").write_bytes(content)
    path.chmod(mode)
    return path


def test_white_space_around_it_is_no_part_of_it(tmp_path: Path) -> None:
    assert read_pepper(a_file(tmp_path, b"  " + b"x" * 32 + b"\n")) == b"x" * 32


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o444])
def test_one_that_everybody_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{mode:04o}.*everybody on this host"):
        read_pepper(a_file(tmp_path, b"x" * 32, mode))


def test_what_is_mounted_for_one_container_may_have_any_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pepper, "MOUNTED", tmp_path)
    assert read_pepper(a_file(tmp_path, b"x" * 32, 0o444)) == b"x" * 32


@pytest.mark.parametrize(
    ("content", "size"), [(b"", "0"), (b"x" * 31 + b"\n", "31"), (b" " * 100, "0"), (b"x" * 5000, "more")]
)
def test_one_that_is_too_short_or_no_secret_at_all_is_refused(tmp_path: Path, content: bytes, size: str) -> None:
    with pytest.raises(ConfigurationError, match=f"must have 32 to 4096 bytes, not {size}; make one with"):
        read_pepper(a_file(tmp_path, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "nowhere", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=f"cannot be read: {reason}.*make one with"):
            read_pepper(path)
    with pytest.raises(ConfigurationError, match=r"is not set.*AUTHENTICATION=none serves without keys"):
        read_pepper(None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_one_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Permission denied"):
        read_pepper(a_file(tmp_path, b"x" * 32, 0o000))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AUTHENTICATION": "keys", "PEPPER_FILE": ""}, "SCALINGCACHE_PEPPER_FILE is not set"),
        ({"AUTHENTICATION": "keys", "PEPPER_FILE": "/dev/null"}, "/dev/null is no regular file"),
        ({"AUTHENTICATION": "keys", "PEPPER": "x" * 32}, "SCALINGCACHE_PEPPER is not a setting"),
        ({"AUTHENTICATION": "none", "HOST": "0.0.0.0"}, "listens on loopback alone"),
        ({"AUTHENTICATION": "off"}, "Input should be 'keys' or 'none'"),
    ],
)
def test_the_service_does_not_start_open_by_mistake(
    settings: Settings, tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    wrong = environment(with_keys(settings, tmp_path))
    wrong |= {f"SCALINGCACHE_{name}": value for name, value in variables.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "service"], env=wrong, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert message in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    assert Settings(authentication="none", host=host).host == host
