"""Finished jobs of single accounts are kept for as long as the operator says."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.retention import retention_of
from service.settings import Settings
from tests.service.accounts import a_key, bearer, with_keys
from tests.service.calls import create
from tests.service.fake_worker import FakeWorker
from workers.configuration import ConfigurationError


def test_each_account_has_its_own(settings: Settings, tmp_path: Path, worker: FakeWorker) -> None:
    wished = {"account_retention": ("ads=3600", "film=604800")}
    settings = with_keys(settings, tmp_path).model_copy(update=wished)
    for account, seconds in (("ads", 3600), ("film", 604_800), ("others", 86_400)):
        with TestClient(create_app(settings), headers=bearer(a_key(settings, account))) as client:
            video = create(client)
            worker.run_one()
            ended = client.get(f"/v1/videos/{video['id']}").json()
            assert ended["expires_at"] - ended["completed_at"] in (seconds, seconds + 1)


def test_text_becomes_seconds_by_account() -> None:
    assert Settings(account_retention=" ads=3600 , film = 1.5 ").account_retention == ("ads=3600", "film = 1.5")
    assert retention_of(("ads=3600", "film = 1.5")) == {"ads": 3600.0, "film": 1.5}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ads", "must be the name of an account and seconds"), ("=3600", "the name of an account"),
        ("a/b=1", "the name of an account"), ("ads=", "must be seconds"), ("ads=soon", "must be seconds"),
        ("ads=0", "more than 0"), ("ads=-1", "more than 0"), ("ads=nan", "must be seconds"), ("ads=inf", "at most"),
        ("ads=1,ads=2", "there twice"),
    ],
)  # fmt: skip
def test_what_is_no_retention_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SCALINGCACHE_ACCOUNT_RETENTION.*{complaint}"):
        Settings(account_retention=text)
