import errno
import hashlib
import os
import re
import resource
from pathlib import Path

import pytest

from workers.jobs.artifact import Artifact, Preview
from workers.jobs.artifacts import ArtifactStore
from workers.jobs.errors import JobNotFound, StorageFailed, StorageFull
from workers.jobs.job import AttemptKey, JobKey

JOB, TOKEN = "video_wan-tiny_0123456789abcdef0123456789abcdef", "a" * 32
ATTEMPT = AttemptKey("acme", JOB, TOKEN)
KEY = JobKey("acme", JOB)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def publish(store: ArtifactStore, content: bytes = b"mp4", *, token: str = TOKEN) -> Artifact:
    return store.publish(AttemptKey("acme", JOB, token), "video.mp4", lambda path: _write(path, content), "video/mp4")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_published_file_is_whole_and_described(store: ArtifactStore, tmp_path: Path) -> None:
    artifact = publish(store, b"a video")
    assert artifact == Artifact(
        path=f"acme/{JOB}/{TOKEN}/video.mp4",
        media_type="video/mp4",
        size_bytes=7,
        sha256=hashlib.sha256(b"a video").hexdigest(),
    )
    assert store.path(artifact).read_bytes() == b"a video"
    assert files(tmp_path) == [artifact.path]


def test_the_final_name_does_not_exist_before_the_file_is_whole(store: ArtifactStore, tmp_path: Path) -> None:
    seen: list[str] = []

    def write(path: Path) -> None:
        path.write_bytes(b"half")
        seen.extend(files(tmp_path))

    store.publish(ATTEMPT, "video.mp4", write, "video/mp4")
    [partial] = seen
    assert re.fullmatch(rf"acme/{JOB}/{TOKEN}/video\.mp4\.[0-9a-f]+\.tmp", partial)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_no_partial_file(store: ArtifactStore, tmp_path: Path, code: int) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    with pytest.raises(StorageFull):
        store.publish(ATTEMPT, "video.mp4", write, "video/mp4")
    assert files(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_disk_is_storage_full(store: ArtifactStore, tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.symlink_to("/dev/full")
        with path.open("wb") as file:
            file.write(b"video")

    with pytest.raises(StorageFull):
        store.publish(ATTEMPT, "video.mp4", write, "video/mp4")
    assert list(tmp_path.rglob("*.tmp")) == []


def test_an_image_that_finds_no_room_is_storage_full_and_leaves_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(StorageFull):
            store.keep_reference(KEY, bytes(11))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EIO])
def test_a_storage_that_fails_is_named_as_that(store: ArtifactStore, tmp_path: Path, code: int) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    with pytest.raises(StorageFailed, match=os.strerror(code)):
        store.publish(ATTEMPT, "video.mp4", write, "video/mp4")
    assert files(tmp_path) == []


def test_another_error_of_the_writer_passes_through(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        store.publish(ATTEMPT, "video.mp4", lambda path: path.write_text(str(1 / 0)), "video/mp4")
    assert files(tmp_path) == []


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "acme/../../secret"])
def test_a_path_never_leads_out_of_the_store(store: ArtifactStore, path: str) -> None:
    with pytest.raises(JobNotFound):
        store.path(Artifact(path=path, media_type="video/mp4", size_bytes=1, sha256=""))


@pytest.mark.parametrize("name", ["..", "", "a/b", ".hidden", "a\0b"])
def test_names_that_leave_their_folder_are_refused(store: ArtifactStore, name: str) -> None:
    outside = (AttemptKey(name, JOB, TOKEN), AttemptKey("acme", name, TOKEN), AttemptKey("acme", JOB, name))
    for attempt, filename in (*((each, "f") for each in outside), (ATTEMPT, name)):
        with pytest.raises(ValueError, match="file name"):
            store.publish(attempt, filename, lambda path: None, "video/mp4")
    with pytest.raises(ValueError, match="file name"):
        store.delete(JobKey(name, JOB))


def test_previews_are_published_with_the_result_or_not_at_all(store: ArtifactStore, tmp_path: Path) -> None:
    previews: dict[Preview, bytes] = {"thumbnail": b"small", "spritesheet": b"many"}
    artifact = store.publish(ATTEMPT, "video.mp4", lambda path: _write(path, b"mp4"), "video/mp4", previews)
    kept = {name: store.path(stored).read_bytes() for name, stored in artifact.previews.items()}
    assert kept == previews
    assert artifact.previews["thumbnail"].sha256 == hashlib.sha256(b"small").hexdigest()
    store.delete(KEY)
    assert files(tmp_path) == []

    (tmp_path / "acme" / JOB / TOKEN / "spritesheet.webp").mkdir(parents=True)
    with pytest.raises(StorageFailed):
        store.publish(ATTEMPT, "video.mp4", lambda path: _write(path, b"mp4"), "video/mp4", previews)
    assert files(tmp_path) == []


def test_deleting_a_job_takes_all_its_attempts(store: ArtifactStore, tmp_path: Path) -> None:
    publish(store)
    publish(store, token="b" * 32)
    store.delete(KEY)
    store.delete(KEY)
    assert files(tmp_path) == []


def test_the_sweep_takes_old_attempts_that_nothing_points_to(store: ArtifactStore, tmp_path: Path) -> None:
    kept, orphan, young = (publish(store, token=letter * 32) for letter in "abc")
    for artifact in (kept, orphan):
        os.utime(store.path(artifact).parent, (0, 0))
    asked: list[AttemptKey] = []

    def is_referenced(attempt: AttemptKey) -> bool:
        asked.append(attempt)
        return attempt.token == "a" * 32

    assert sum(store.sweep(is_referenced, older_than_seconds=60)) == 1
    assert files(tmp_path) == [kept.path, young.path]
    assert sorted(asked, key=lambda attempt: attempt.token) == [ATTEMPT, AttemptKey("acme", JOB, "b" * 32)]


def test_discarding_an_attempt_leaves_the_others(store: ArtifactStore, tmp_path: Path) -> None:
    kept = publish(store)
    publish(store, token="b" * 32)
    store.discard(AttemptKey("acme", JOB, "b" * 32))
    store.discard(AttemptKey("acme", JOB, "c" * 32))
    assert files(tmp_path) == [kept.path]


def test_a_record_from_before_there_were_previews_is_read() -> None:
    record = f'{{"path":"acme/{JOB}/{TOKEN}/video.mp4","media_type":"video/mp4","size_bytes":3,"sha256":"ab"}}'
    assert Artifact.model_validate_json(record).previews == {}
