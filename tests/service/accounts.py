"""Settings under which API keys are needed, and keys that are good for them."""

from pathlib import Path

from service.accounts import Accounts, Scope
from service.pepper import read_pepper
from service.settings import Settings
from workers.jobs.connection import Connection

USUAL = (Scope.GENERATE, Scope.READ)


def with_keys(settings: Settings, folder: Path) -> Settings:
    """The same settings with authentication, and a pepper in the folder."""
    (pepper := folder / "pepper").write_text("pepper for tests, long enough to be one\n")
    pepper.chmod(0o600)
    return settings.model_copy(update={"authentication": "keys", "pepper_file": pepper})


def accounts_of(settings: Settings) -> Accounts:
    return Accounts(Connection(settings.redis_url), read_pepper(settings.pepper_file))


def a_key(settings: Settings, account: str = "acme", *scopes: Scope) -> str:
    return accounts_of(settings).create(account, scopes or USUAL)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
