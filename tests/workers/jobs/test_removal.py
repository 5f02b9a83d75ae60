"""Nothing that the product did not write is ever deleted, whatever folder it was given as its store."""

import os
from pathlib import Path

import pytest

from workers.jobs.artifacts import ArtifactStore
from workers.jobs.job import AttemptKey, JobKey

JOB, TOKEN = "video_wan-tiny_0123456789abcdef0123456789abcdef", "a" * 32
OURS = f"acme/{JOB}/{TOKEN}/video.mp4"

#: Files of others: of another depth, under names that are not ours at one of the levels, or beside our own.
FOREIGN = (
    "readme.txt",
    "www/site/html/index.html",
    "home/alice/documents/thesis.pdf",
    f"acme/{JOB}.bak/{TOKEN}/video.mp4",
    f"acme/video_wan-tiny_0123/{TOKEN}/video.mp4",
    f"acme/{JOB}/{TOKEN[:-1]}/video.mp4",
    f"acme/{JOB}/{TOKEN.upper()}/video.mp4",
    f"acme/{JOB}/notes/video.mp4",
    f"acme/{JOB}/{'b' * 32}/notes.txt",
    f"acme/{JOB}/{'b' * 32}/deeper/video.mp4",
    f"acme/{JOB}/{'b' * 32}/video.mp4.bak",
    f"acme/{JOB}/readme",
    f".snapshot/{JOB}/{TOKEN}/video.mp4",
    f".snapshot/daily/{JOB}/{TOKEN}/video.mp4",
    f"alice@acme.example/{JOB}/{TOKEN}/video.mp4",
    f"lost+found/{JOB}/{TOKEN}/video.mp4",
    f"a tenant\n/{JOB}/{TOKEN}/video.mp4",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of others with one orphan of ours in it."""
    for name in (*FOREIGN, OURS):
        path = tmp_path / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return tmp_path / "store"


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


def sweep(root: Path) -> int:
    for path in root.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)
    return sum(ArtifactStore(root).sweep(lambda attempt: False, older_than_seconds=60))


def test_the_sweep_of_a_folder_of_others_takes_our_orphan_alone(root: Path) -> None:
    assert sweep(root) == 1
    assert files(root) == set(FOREIGN)
    assert sweep(root) == 0


def test_deleting_a_job_or_an_attempt_leaves_what_others_put_beside_it(root: Path) -> None:
    store = ArtifactStore(root)
    store.discard(AttemptKey("acme", JOB, "b" * 32))
    store.delete(JobKey("acme", JOB))
    assert files(root) == set(FOREIGN)


@pytest.mark.parametrize("level", ["tenant", "job", "attempt", "file"])
def test_no_link_is_followed_out_of_the_store(tmp_path: Path, level: str) -> None:
    outside = tmp_path / "outside"
    inside = {
        "tenant": Path("acme"),
        "job": Path("acme", JOB),
        "attempt": Path("acme", JOB, TOKEN),
        "file": Path("acme", JOB, TOKEN, "video.mp4"),
    }[level]
    target = outside / Path(OURS).relative_to(inside)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("content")
    link = tmp_path / "store" / inside
    link.parent.mkdir(parents=True)
    link.symlink_to(target if level == "file" else outside)
    store = ArtifactStore(tmp_path / "store")
    sweep(tmp_path / "store")
    store.discard(AttemptKey("acme", JOB, TOKEN))
    store.delete(JobKey("acme", JOB))
    assert target.read_text() == "content"


def test_what_the_sweep_cannot_read_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def denied(path: Path) -> object:
        if path.name == "www":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    (root / "www" / JOB / TOKEN).mkdir(parents=True)
    monkeypatch.setattr("workers.jobs.removal.os.scandir", denied)
    assert sweep(root) == 1
