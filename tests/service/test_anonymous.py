"""A file that is shown to participants says nothing of how it was made, and shows the same."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.anonymous import stripped
from tests.service.judged import TELLTALE, write_telling_mp4, write_telling_png
from workers.media.mp4 import read_mp4


def without_words(path: Path, media_type: str) -> bytes:
    content = path.read_bytes()
    with path.open("rb") as file:
        parts = list(stripped(file, media_type))
    return b"".join(part if isinstance(part, bytes) else content[part[0] : sum(part)] for part in parts)


def test_a_video_keeps_its_frames_and_its_length_and_loses_its_words(tmp_path: Path) -> None:
    write_telling_mp4(told := tmp_path / "told.mp4", 90)
    assert TELLTALE.encode() in told.read_bytes()
    (quiet := tmp_path / "quiet.mp4").write_bytes(without_words(told, "video/mp4"))
    assert TELLTALE.encode() not in quiet.read_bytes() and b"udta" not in quiet.read_bytes()
    assert quiet.stat().st_size == told.stat().st_size
    assert np.array_equal(read_mp4(quiet), read_mp4(told))


def test_an_image_keeps_its_pixels_and_loses_its_words(tmp_path: Path) -> None:
    write_telling_png(told := tmp_path / "told.png")
    assert TELLTALE.encode() in told.read_bytes()
    quiet = without_words(told, "image/png")
    assert TELLTALE.encode() not in quiet
    with Image.open(BytesIO(quiet)) as left, Image.open(told) as right:
        assert left.info == {} and left.tobytes() == right.tobytes()


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("video/mp4", bytes(range(256))),
        ("video/mp4", b"\0\0\0\x04moov" + bytes(8)),
        ("image/png", bytes(8) + b"\xff" * 8),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, media_type: str, content: bytes) -> None:
    (path := tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="does not fit"):
        without_words(path, media_type)
