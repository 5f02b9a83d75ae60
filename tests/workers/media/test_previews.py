"""Small pictures of a result, as a client that only knows its size and number of frames reads them."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from workers.media.previews import previews_of


def shades(count: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """Grey frames, each lighter than the one before."""
    levels = np.linspace(10, 240, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def opened(content: bytes) -> Image.Image:
    picture = Image.open(BytesIO(content))
    assert picture.format == "WEBP"
    return picture.convert("RGB")


def grey(picture: Image.Image, x: int, y: int) -> int:
    pixel = picture.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return int(pixel[0])


def test_the_thumbnail_is_the_middle_frame() -> None:
    frames = shades(9)
    picture = opened(previews_of(frames)["thumbnail"])
    assert picture.size == (96, 64)  # not enlarged
    assert grey(picture, 48, 32) == pytest.approx(int(frames[4, 0, 0, 0]), abs=3)


@pytest.mark.parametrize(("count", "columns", "rows"), [(2, 2, 1), (5, 5, 1), (9, 5, 2), (25, 5, 5), (81, 5, 5)])
def test_a_sheet_has_frames_from_the_first_to_the_last_row_by_row(count: int, columns: int, rows: int) -> None:
    frames = shades(count)
    sheet = opened(previews_of(frames)["spritesheet"])
    assert sheet.size == (96 * columns, 64 * rows)
    tiles = min(count, 25)
    for tile in range(tiles):
        expected = frames[round(tile * (count - 1) / (tiles - 1)), 0, 0, 0]
        at = (96 * (tile % 5) + 48, 64 * (tile // 5) + 32)
        assert grey(sheet, *at) == pytest.approx(int(expected), abs=3), f"tile {tile}"


def test_previews_stay_small_however_large_the_result_is() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 1080, 1921, 3), np.uint8)
    made = previews_of(noise)
    assert opened(made["thumbnail"]).size == (320, 180)
    assert opened(made["spritesheet"]).size == (800, 450)
    assert max(map(len, made.values())) < 1 << 20


@pytest.mark.parametrize(("height", "width"), [(1, 4000), (4000, 1), (3, 5)])
def test_any_shape_has_previews(height: int, width: int) -> None:
    made = previews_of(shades(3, height, width))
    assert min(opened(made["spritesheet"]).size) >= 1


def test_an_image_has_no_sheet_and_the_same_result_has_the_same_previews() -> None:
    assert set(previews_of(shades(1))) == {"thumbnail"}
    assert previews_of(shades(12)) == previews_of(shades(12))
