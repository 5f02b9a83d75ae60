"""The image that a generation starts from: cut to size, turned, and rid of all else."""

import io
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

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


def test_colours_are_converted_by_the_files_own_profile() -> None:
    """A profile with red and green swapped tells them from sRGB's without any measuring."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * 20, 12)}
    red, green = (places[tag] + 4 for tag in (b"rXYZ", b"gXYZ"))
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 20)).save(file, "PNG", icc_profile=bytes(profile))
    r, g, b = opened(fitted(file.getvalue(), 32, 32)).getpixel((9, 9))  # type: ignore[misc]
    assert abs(r - 30) <= 2 and abs(g - 200) <= 2 and abs(b - 20) <= 2


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA"])
def test_an_srgb_profile_changes_nothing_of_colours_nor_transparency(mode: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.linear_gradient("L").resize((64, 64)).convert(mode)
    plain, profiled = io.BytesIO(), io.BytesIO()
    picture.save(plain, "PNG")
    picture.save(profiled, "PNG", icc_profile=profile)
    ours, theirs = (opened(fitted(file.getvalue(), 64, 64)) for file in (profiled, plain))
    assert max(band[1] for band in ImageChops.difference(ours, theirs).getextrema()) <= 1  # type: ignore[misc]


def test_cmyk_becomes_rgb() -> None:
    r, g, b = opened(fitted(a_file("JPEG", (32, 32), (0, 255, 255, 0), "CMYK"), 32, 32)).getpixel((9, 9))  # type: ignore[misc]
    assert r > 200 and g < 60 and b < 60


def test_sixteen_bit_grey_keeps_its_transparency() -> None:
    row = (1000).to_bytes(2, "little") * 32 + (2000).to_bytes(2, "little") * 32
    picture = Image.frombytes("I;16", (64, 64), row * 64)
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=1000)
    fit = opened(fitted(file.getvalue(), 64, 64))
    assert (fit.getpixel((9, 9)), fit.getpixel((50, 9))) == ((255, 255, 255), (7, 7, 7))


def test_a_large_jpeg_is_scaled_as_if_decoded_in_full() -> None:
    picture = Image.radial_gradient("L").resize((1600, 1200)).convert("RGB")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    wanted = picture.resize((64, 48), Image.Resampling.LANCZOS)
    difference = ImageChops.difference(opened(fitted(file.getvalue(), 64, 48)), wanted)
    assert max(band[1] for band in difference.getextrema()) <= 4  # type: ignore[misc]
