"""Results in a bucket, on a server that speaks S3 in a process of its own."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3_servers import BUCKET, PATIENT, WAITS, S3Server, an_s3_server
from tests.waiting import wait_until
from workers.jobs import object_store
from workers.jobs.artifact import Artifact, Preview, StoredFile
from workers.jobs.artifacts import MARKER
from workers.jobs.connection import Connection
from workers.jobs.errors import StorageFailed, StorageFull, StorageUnavailable, StoreMismatch
from workers.jobs.job import AttemptKey, JobKey
from workers.jobs.object_store import PROBE, ObjectStore
from workers.jobs.s3_location import S3Location
from workers.jobs.store import StoreUnreachable
from workers.jobs.store_binding import StoreBinding

JOB, TOKEN = "video_wan-tiny_0123456789abcdef0123456789abcdef", "a" * 32
ATTEMPT, KEY = AttemptKey("acme", JOB, TOKEN), JobKey("acme", JOB)
PREVIEWS: dict[Preview, bytes] = {"thumbnail": b"small", "spritesheet": b"many"}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with an_s3_server() as server:
        yield server


@pytest.fixture
def location(server: S3Server, request: pytest.FixtureRequest) -> S3Location:
    """A prefix of the test's own."""
    return server.location(f"serve/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]}")


@pytest.fixture
def store(location: S3Location) -> ObjectStore:
    return ObjectStore(location, PATIENT)


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    connection = Connection(redis_url)
    yield connection
    connection.close()


def publish(store: ObjectStore, content: bytes = b"mp4", token: str = TOKEN) -> Artifact:
    attempt = AttemptKey("acme", JOB, token)
    return store.publish(attempt, "video.mp4", lambda path: _write(path, content), "video/mp4", PREVIEWS)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def names(server: S3Server, location: S3Location) -> list[str]:
    return sorted(name.removeprefix(f"{location.prefix}/") for name in server.names(location.prefix))


def content(store: ObjectStore, stored: StoredFile) -> bytes:
    with store.open(stored) as file:
        return file.read()


def answers(store: ObjectStore) -> bool:
    """A server that has just come back may still be busy with what nobody waits for any more."""
    try:
        store.probe()
    except StoreUnreachable:
        return False
    return True


def test_a_published_file_is_whole_described_and_typed(
    store: ObjectStore, server: S3Server, location: S3Location
) -> None:
    large = bytes(range(256)) * (40 << 10)  # 10 MiB: several pieces
    artifact = publish(store, large)
    assert artifact.path == f"acme/{JOB}/{TOKEN}/video.mp4"
    assert (artifact.size_bytes, artifact.sha256) == (len(large), hashlib.sha256(large).hexdigest())
    assert content(store, artifact) == large
    assert {name: content(store, stored) for name, stored in artifact.previews.items()} == PREVIEWS
    head = server.client().head_object(Bucket=BUCKET, Key=f"{location.prefix}/{artifact.path}")
    assert (head["ContentType"], head["ContentLength"]) == ("video/mp4", len(large))
    with store.at_hand(artifact) as path:
        assert (path.suffix, path.read_bytes()) == (".mp4", large)
    assert not path.exists()


def test_nothing_is_seen_before_the_file_is_whole(store: ObjectStore, server: S3Server, location: S3Location) -> None:
    seen: list[str] = []

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        seen.extend(names(server, location))

    store.publish(ATTEMPT, "video.mp4", write, "video/mp4", PREVIEWS)
    assert seen == []


def test_what_the_writer_raises_passes_through_and_leaves_nothing(
    store: ObjectStore, server: S3Server, location: S3Location
) -> None:
    with pytest.raises(ZeroDivisionError):
        store.publish(ATTEMPT, "video.mp4", lambda path: path.write_text(str(1 / 0)), "video/mp4", PREVIEWS)
    with pytest.raises(StorageFull):
        store.publish(ATTEMPT, "video.mp4", lambda path: (_ for _ in ()).throw(OSError(28, "full")), "video/mp4")
    assert names(server, location) == []


def test_a_file_that_is_gone_or_another_one_is_no_result(store: ObjectStore) -> None:
    artifact = publish(store, b"0123456789")
    for changed in (artifact.model_copy(update={"size_bytes": 11}), artifact.model_copy(update={"path": "acme/none"})):
        with pytest.raises(FileNotFoundError):
            store.open(changed)
    store.delete(KEY)
    with pytest.raises(FileNotFoundError):
        store.open(artifact)


def test_an_image_is_kept_until_its_job_is_deleted(store: ObjectStore, server: S3Server, location: S3Location) -> None:
    store.keep_reference(KEY, b"png")
    assert store.read_reference(KEY) == b"png"
    publish(store)
    store.delete(KEY)
    store.delete(KEY)
    assert names(server, location) == []
    with pytest.raises(FileNotFoundError):
        store.read_reference(KEY)


def test_nothing_of_others_is_deleted(store: ObjectStore, server: S3Server, location: S3Location) -> None:
    foreign = [
        "readme.txt",
        f"acme/{JOB}/{TOKEN}/notes.txt",
        f"acme/{JOB}/notes/video.mp4",
        f"acme/{JOB}.bak/{TOKEN}/video.mp4",
        f"acme/{JOB}/{TOKEN}/deeper/video.mp4",
    ]
    for name in foreign:
        server.client().put_object(Bucket=BUCKET, Key=f"{location.prefix}/{name}", Body=b"theirs")
    publish(store)
    store.discard(ATTEMPT)
    publish(store)
    store.delete(KEY)
    assert sum(store.sweep(lambda attempt: False, older_than_seconds=-60)) == 0
    assert [name for name in names(server, location) if name != PROBE] == sorted(foreign)


def test_the_sweep_takes_old_attempts_that_nothing_points_to(
    store: ObjectStore, server: S3Server, location: S3Location
) -> None:
    kept = publish(store)
    publish(store, token="b" * 32)
    assert list(store.sweep(lambda attempt: False, older_than_seconds=3600)) == [False, False]  # both are young
    swept = list(store.sweep(lambda attempt: attempt.token == TOKEN, older_than_seconds=-60))
    assert swept == [False, True]
    assert {name.split("/")[2] for name in names(server, location) if name != PROBE} == {TOKEN}
    assert content(store, kept) == b"mp4"


@pytest.mark.parametrize("name", ["..", "", "a/b", ".hidden"])
def test_names_that_leave_their_place_are_refused(store: ObjectStore, name: str) -> None:
    for attempt, filename in (
        (AttemptKey(name, JOB, TOKEN), "video.mp4"),
        (AttemptKey("acme", name, TOKEN), "video.mp4"),
        (ATTEMPT, name),
    ):
        with pytest.raises(ValueError, match="file name"):
            store.publish(attempt, filename, lambda path: _write(path, b""), "video/mp4")


def test_bucket_and_redis_of_an_installation_know_each_other(
    store: ObjectStore, location: S3Location, server: S3Server, connection: Connection
) -> None:
    StoreBinding(store, connection).check()
    StoreBinding(ObjectStore(location, PATIENT), connection).check()
    publish(store)
    elsewhere = ObjectStore(server.location(f"{location.prefix}/elsewhere"), PATIENT)
    with pytest.raises(StoreMismatch, match="mark"):
        StoreBinding(elsewhere, connection).check()
    connection.commands.flushall()
    with pytest.raises(StoreMismatch, match="another Redis"):
        StoreBinding(ObjectStore(location, PATIENT), connection).check()
    assert MARKER in names(server, location)


def test_what_is_asked_before_every_job_is_not_asked_of_the_store_every_time(
    server: S3Server, location: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(location, WAITS)
    wait_until(lambda: answers(store))
    first = store.probe()
    with server.hanging():
        assert store.probe() >= first
        monkeypatch.setattr(object_store, "PROBE_SECONDS", 0.0)
        with pytest.raises(StoreUnreachable):
            store.probe()
    wait_until(lambda: answers(store))
    assert store.probe() >= first


def test_after_an_attempt_that_failed_the_next_is_not_taken_on_what_the_store_answered_before_it(
    server: S3Server, location: S3Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PROBE_SECONDS", 600.0)
    store = ObjectStore(location, WAITS)
    wait_until(lambda: answers(store))
    with server.hanging():
        store.probe()
    store.discard(ATTEMPT)
    with server.hanging(), pytest.raises(StoreUnreachable):
        store.probe()


def test_a_store_that_hangs_or_is_dead_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    with an_s3_server() as server:
        patient, store = (ObjectStore(server.location("own"), waits) for waits in (PATIENT, WAITS))
        artifact = publish(patient)
        with server.hanging():
            begun = time.monotonic()
            with pytest.raises(StorageUnavailable, match="does not answer"):
                publish(store, token="b" * 32)
            with pytest.raises(StoreUnreachable):
                store.open(artifact)
            store.discard(ATTEMPT)  # left to the sweep
            # Three calls, and the deletion of what the first had put.
            assert time.monotonic() - begun < 10 * (WAITS.request + WAITS.retry)
        assert content(patient, artifact) == b"mp4"
        server.stop()
        for call in (lambda: store.open(artifact), store.probe, store.mark, lambda: store.delete(KEY)):
            with pytest.raises(StoreUnreachable):
                call()


def test_a_bucket_that_is_not_there_and_keys_that_are_refused_are_named(server: S3Server) -> None:
    nowhere = ObjectStore(server.location("x", bucket="nowhere"), PATIENT)
    with pytest.raises(StorageFailed, match="no such bucket"):
        publish(nowhere)
    with pytest.raises(FileNotFoundError, match="no such bucket"):
        nowhere.probe()
