"""Two processes of the service behind one Redis: whatever one of them knows, the other knows too."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from demo.embedded_redis import EmbeddedRedis
from service.accounts import Scope
from service.settings import Settings
from tests.queues import Queue
from tests.service.accounts import a_key, accounts_of, bearer, with_keys
from tests.service.fake_worker import VIDEO, FakeWorker
from tests.service.serving import served
from tests.service.settings import settings_in
from tests.waiting import wait_until
from workers.jobs.artifacts import ArtifactStore

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


@pytest.fixture(scope="module")
def settings(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder: Path = tmp_path_factory.mktemp("service")
    return with_keys(settings_in(folder, redis_server.url), folder)


@pytest.fixture(scope="module")
def addresses(settings: Settings) -> Iterator[list[str]]:
    """Of two processes for all tests of this file: each starts on an empty Redis."""
    with ExitStack() as undo:
        yield [undo.enter_context(served(settings)).address for _ in range(2)]


@pytest.fixture
def clients(addresses: list[str], settings: Settings, redis_url: str) -> Iterator[list[OpenAI]]:
    """The unmodified client at each of the two, with a key of the same account."""
    key = a_key(settings)
    with ExitStack() as undo:
        yield [
            undo.enter_context(OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)) for address in addresses
        ]


def test_a_video_made_at_one_is_seen_listed_loaded_and_deleted_at_the_other(
    clients: list[OpenAI], settings: Settings
) -> None:
    one, other = clients
    video = one.videos.create(prompt="a red ball")
    assert other.videos.retrieve(video.id).status == "queued"
    queue = Queue.open(settings.redis_url)
    FakeWorker(queue, ArtifactStore(settings.artifacts)).run_one()
    queue.close()
    assert [listed.id for listed in other.videos.list()] == [video.id]
    assert other.videos.download_content(video.id).read() == VIDEO
    assert other.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError):
        one.videos.retrieve(video.id)


def test_an_idempotency_key_holds_at_both(clients: list[OpenAI]) -> None:
    made = {
        client.videos.create(prompt="a red ball", extra_headers={"idempotency-key": "k"}).id
        for client in (*clients, *clients)
    }
    assert len(made) == 1


def test_the_openai_client_is_told_of_a_wrong_key_and_of_a_missing_scope(
    clients: list[OpenAI], settings: Settings
) -> None:
    with pytest.raises(openai.AuthenticationError) as wrong:
        clients[0].with_options(api_key="wrong").videos.create(prompt="a red ball")
    assert (wrong.value.status_code, wrong.value.code) == (401, "invalid_api_key")
    reader = clients[0].with_options(api_key=a_key(settings, "acme", Scope.READ))
    with pytest.raises(openai.PermissionDeniedError, match="'generate'"):
        reader.videos.create(prompt="a red ball")
    assert list(reader.videos.list()) == []


def test_a_revoked_key_is_refused_at_both_within_seconds(
    addresses: list[str], settings: Settings, redis_url: str
) -> None:
    key = a_key(settings)
    calls = [f"{address}/v1/models" for address in addresses]
    assert [httpx.get(url, headers=bearer(key)).status_code for url in calls] == [200, 200]
    accounts_of(settings).revoke(key.split("_")[1])
    for url in calls:
        wait_until(
            lambda url=url: httpx.get(url, headers=bearer(key)).status_code == 401,
            seconds=30,
            awaited=f"{url} refuses the key",
        )


def test_a_new_key_is_good_at_once_at_both(addresses: list[str], settings: Settings, redis_url: str) -> None:
    for address in addresses:
        key = a_key(settings, "beta")
        assert httpx.get(f"{address}/v1/models", headers=bearer(key)).status_code == 200
