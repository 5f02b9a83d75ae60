"""Files that are there whole or not at all."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from workers.files import replacing


def test_a_file_is_replaced_only_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.json"
    for text in ("old", "new"):
        before = path.read_text() if path.exists() else None
        with replacing(path) as partial:
            partial.write_text(text)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    assert [each.name for each in path.parent.iterdir()] == ["file.json"]


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        partial.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_at_once_do_not_write_into_each_others_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    with ExitStack() as undo:
        first, second = (undo.enter_context(replacing(path)) for _ in range(2))
        first.write_text("first")
        second.write_text("second")
        assert first.read_text() == "first"
    assert path.read_text() == "first", "entered first, it ends last"
