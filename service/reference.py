"""The image that a video starts from: what a client may send, and what the worker gets of it."""

import base64
import binascii
import re
from io import BytesIO

from PIL import Image, ImageOps

from service.errors import NotSupported
from workers.jobs.errors import InvalidRequest

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 25_000_000

_DATA_URL = re.compile(r"data:image/(png|jpeg|webp);base64,(?P<content>[A-Za-z0-9+/=]*)")


def uploaded(value: object) -> bytes | None:
    """The file in a request's field: a part of a form as it came, or `{"image_url": "data:..."}`.

    Raises `NotSupported` for a URL to fetch, `InvalidRequest` for anything else.
    """
    if value is None or isinstance(value, bytes):
        return value
    url = value.get("image_url") if isinstance(value, dict) and set(value) == {"image_url"} else None
    if not isinstance(url, str):
        raise InvalidRequest(
            "input_reference",
            'input_reference must be the file of an image in a form, or {"image_url": "data:image/png;base64,..."}',
        )
    if not url.startswith("data:"):
        raise NotSupported(
            "input_reference", "input_reference: images are not fetched from URLs here; upload the file in a form"
        )
    match = _DATA_URL.fullmatch(url)
    try:
        return base64.b64decode(match["content"] if match else "?", validate=True)
    except binascii.Error:
        raise _unreadable() from None


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
        raise _unreadable() from None
    if mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _eight_bit(image: Image.Image) -> Image.Image:
    """Pillow cuts off where it should scale when it makes RGB of 16-bit grey."""
    return image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image


def _unreadable() -> InvalidRequest:
    return InvalidRequest("input_reference", "input_reference cannot be read; allowed: a whole PNG, JPEG or WebP file")


def _too_large(what: str) -> InvalidRequest:
    return InvalidRequest("input_reference", f"input_reference: {what} has more than the {MOST_PIXELS} pixels allowed")
