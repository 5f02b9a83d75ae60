"""python -m service keys: what the operator does with API keys."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from service.__main__ import cli
from service.accounts import Scope
from service.settings import Settings
from tests.service.accounts import accounts_of, with_keys
from tests.service.serving import environment
from workers.configuration import ConfigurationError
from workers.jobs.errors import InvalidRequest, QueueUnavailable

Command = Callable[..., Result]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return with_keys(settings, tmp_path)


@pytest.fixture
def keys(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in this process; an error comes out as it is, which the program shows as one line."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, ["keys", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_a_new_key_is_alone_on_standard_output_and_works(settings: Settings, keys: Command) -> None:
    made = keys("create", "acme")
    [line] = made.stdout.splitlines()
    key = accounts_of(settings).verify(line)
    assert key is not None and (key.account, key.scopes) == ("acme", {Scope.GENERATE, Scope.READ})
    assert "shown this once" in made.stderr


def test_scopes_are_those_that_were_named(settings: Settings, keys: Command) -> None:
    key = accounts_of(settings).verify(keys("create", "ops", "--scope", "admin", "--scope", "read").stdout.strip())
    assert key is not None and key.scopes == {Scope.ADMIN, Scope.READ}
    wrong = keys("create", "ops", "--scope", "root")
    assert wrong.exit_code == 2 and "'root' is not one of" in wrong.stderr


def test_the_list_shows_everything_but_the_keys(keys: Command) -> None:
    first = keys("create", "acme").stdout.strip()
    keys("create", "beta", "--scope", "read")
    shown = keys("list").stdout
    for part in ("acme", "beta", "generate read", "never", first.split("_")[1]):
        assert part in shown
    listed = json.loads(keys("list", "--json").stdout)
    assert [(key["account"], key["scopes"]) for key in listed] == [("acme", ["generate", "read"]), ("beta", ["read"])]
    assert first.split("_", 2)[2] not in shown + json.dumps(listed)


def test_rotation_says_when_the_old_key_ends_and_revocation_ends_it(settings: Settings, keys: Command) -> None:
    old = keys("create", "acme").stdout.strip()
    rotated = keys("rotate", old.split("_")[1], "--grace", "60")
    assert "ends in 60 s" in rotated.stderr
    accounts = accounts_of(settings)
    assert accounts.verify(old) and accounts.verify(rotated.stdout.strip())
    assert "is revoked" in keys("revoke", old.split("_")[1]).stderr
    assert not accounts.verify(old) and accounts.verify(rotated.stdout.strip())


def test_what_cannot_be_is_said(keys: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        (("create", "a b"), "must be 1 to 64 letters"),
        (("revoke", "nonsense"), "no live key 'nonsense'"),
        (("rotate", "nonsense"), "no live key 'nonsense'"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            keys(*arguments)
    assert keys("rotate", "x", "--grace", "-1").exit_code == 2
    monkeypatch.setenv("SCALINGCACHE_PEPPER_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="/nowhere cannot be read"):
        keys("list")


def test_without_redis_it_says_so(keys: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALINGCACHE_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable, match="Redis"):
        keys("create", "acme")
