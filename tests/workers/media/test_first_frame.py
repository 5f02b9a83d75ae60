"""The image that a generation starts from: cut to size, turned, and rid of all else."""

import io
import zlib
from typing import Any

import pytest
from PIL import Image

from tests.images import a_file, chunk, opened
from workers.jobs.errors import InvalidRequest
from workers.media.first_frame import fitted


def test_the_middle_is_cut_out_in_the_shape_of_the_video() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (99, 0, 201, 100))
    file = io.BytesIO()
    image.save(file, "PNG")
    assert {opened(fitted(file.getvalue(), 64, 64)).getpixel((x, y)) for x in (0, 63) for y in (0, 63)} == {(0, 0, 255)}


def test_an_image_is_turned_as_its_exif_says_and_keeps_nothing_else() -> None:
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a secret"  # orientation: to be turned clockwise
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, icc_profile=b"another secret", quality=95)
    png = fitted(file.getvalue(), 32, 64)
    assert opened(png).getpixel((16, 4))[2] > 200 and opened(png).getpixel((16, 60))[0] > 200  # type: ignore[index]
    assert b"secret" not in png
    with Image.open(io.BytesIO(png)) as stripped:
        assert not stripped.info and not stripped.getexif()


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("LA", (0, 255), (0, 0, 0)),
        ("L", 128, (128, 128, 128)),
        ("I;16", 32_768, (128, 128, 128)),
        ("1", 1, (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_every_mode_of_pixel_becomes_rgb(mode: str, color: Any, expected: tuple[int, int, int]) -> None:
    assert opened(fitted(a_file("PNG", (32, 32), color, mode), 32, 32)).getpixel((9, 9)) == expected


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert opened(fitted(file.getvalue(), 32, 32)).getpixel((9, 9)) == (255, 0, 0)


def test_a_compressed_text_chunk_without_end_is_refused() -> None:
    png = a_file()
    swollen = png[:33] + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 50_000_000)) + png[33:]
    with pytest.raises(InvalidRequest, match="cannot be read"):
        fitted(swollen, 32, 32)
