"""The image that a generation starts from, made safe and brought to size. Never imports torch."""

from io import BytesIO

from PIL import Image, ImageOps

from workers.jobs.errors import InvalidRequest

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 25_000_000


def fitted(content: bytes, width: int, height: int) -> bytes:
    """The image as a PNG of `width` x `height` pixels, nothing else of the file left in it.

    Upright as its EXIF says, the middle cut out in the video's shape, then scaled (Lanczos). Of an animation the first
    frame; where it is transparent, white. Raises `InvalidRequest`.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:  # Reads the header alone.
            if image.width * image.height > MOST_PIXELS:
                raise _too_large(f"{image.width}x{image.height}")
            mode = "RGBA" if image.has_transparency_data else "RGB"
            picture = ImageOps.fit(
                ImageOps.exif_transpose(_eight_bit(image)).convert(mode), (width, height), Image.Resampling.LANCZOS
            )
    except InvalidRequest:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large("the image") from None
    except Exception:  # A broken file makes a decoder raise anything, in words that are not for clients.
        raise unreadable() from None
    if mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    picture.info.clear()  # Pillow would write a colour profile, of any size, into the new file.
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _eight_bit(image: Image.Image) -> Image.Image:
    """Pillow cuts off where it should scale when it makes RGB of 16-bit grey."""
    return image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image


def unreadable() -> InvalidRequest:
    """What no decoder can make an image of."""
    return InvalidRequest(
        "input_reference", "input_reference cannot be read; allowed: a complete PNG, JPEG or WebP file"
    )


def _too_large(image: str) -> InvalidRequest:
    return InvalidRequest("input_reference", f"input_reference: {image} has more than the {MOST_PIXELS} pixels allowed")
