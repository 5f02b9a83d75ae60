"""Folder and Redis of one installation know each other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from tests.workers.factories import an_artifact
from workers.jobs import keys
from workers.jobs.artifacts import MARKER, ArtifactStore
from workers.jobs.connection import Connection
from workers.jobs.errors import StoreMismatch
from workers.jobs.job import AttemptKey, new_job_id
from workers.jobs.store_binding import StoreBinding


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    connection = Connection(redis_url)
    yield connection
    connection.close()


def a_result(root: Path) -> None:
    attempt = AttemptKey("acme", new_job_id("wan-tiny"), "a" * 32)
    ArtifactStore(root).publish(attempt, "video.mp4", lambda path: path.touch(), an_artifact().media_type)


def test_both_carry_the_same_id_after_the_first_check(connection: Connection, tmp_path: Path) -> None:
    StoreBinding(ArtifactStore(tmp_path), connection).check()
    assert (tmp_path / MARKER).read_text().strip() == connection.commands.get(keys.STORE)
    StoreBinding(ArtifactStore(tmp_path), connection).check()


def test_of_many_that_bind_at_once_all_see_the_same_store(connection: Connection, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for check in [pool.submit(StoreBinding(ArtifactStore(tmp_path), connection).check) for _ in range(32)]:
            check.result()


def test_a_folder_that_another_process_is_about_to_mark_is_waited_for(connection: Connection, tmp_path: Path) -> None:
    class MarkedLate(ArtifactStore):
        def mark(self) -> str | None:
            found = super().mark()
            self.set_mark("first")
            return found

    connection.commands.set(keys.STORE, "first")
    StoreBinding(MarkedLate(tmp_path), connection).check()


def test_another_folder_is_not_the_store(connection: Connection, tmp_path: Path) -> None:
    StoreBinding(ArtifactStore(tmp_path / "store"), connection).check()
    with pytest.raises(StoreMismatch, match="mounted"):
        StoreBinding(ArtifactStore(tmp_path / "elsewhere"), connection).check()
    assert not (tmp_path / "elsewhere").exists()


def test_another_redis_is_not_that_of_the_folder(connection: Connection, tmp_path: Path) -> None:
    StoreBinding(ArtifactStore(tmp_path), connection).check()
    a_result(tmp_path)
    connection.commands.delete(keys.STORE)  # as in another, empty database
    with pytest.raises(StoreMismatch, match="another Redis"):
        StoreBinding(ArtifactStore(tmp_path), connection).check()
    connection.commands.set(keys.STORE, "of another installation")
    with pytest.raises(StoreMismatch, match="two different installations"):
        StoreBinding(ArtifactStore(tmp_path), connection).check()


def test_a_process_that_knows_both_heals_a_redis_that_came_back_empty(
    connection: Connection, tmp_path: Path, redis_url: str
) -> None:
    binding = StoreBinding(ArtifactStore(tmp_path), connection)
    binding.check()
    a_result(tmp_path)
    with redis.Redis.from_url(redis_url) as raw:
        raw.flushall()
    binding.check()
    StoreBinding(ArtifactStore(tmp_path), connection).check()


def test_a_folder_without_results_is_bound_anew(connection: Connection, tmp_path: Path) -> None:
    StoreBinding(ArtifactStore(tmp_path), connection).check()
    former = (tmp_path / MARKER).read_text()
    connection.commands.delete(keys.STORE)
    StoreBinding(ArtifactStore(tmp_path), connection).check()
    assert (tmp_path / MARKER).read_text() != former
