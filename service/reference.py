"""The image that a video starts from, as a client may send it."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Self
from urllib.parse import unquote_to_bytes

from service.refusals import shorten
from workers.jobs.errors import InvalidRequest

_TYPES = ("image/png", "image/jpeg", "image/jpg", "image/webp")


@dataclass(frozen=True)
class Upload:
    """A file that came with a request, and its SHA-256 in hexadecimal. What came in a form is closed with it."""

    file: IO[bytes]
    sha256: str

    @classmethod
    def of(cls, file: IO[bytes]) -> Self:
        """Reads the whole file once, a piece at a time."""
        digest = hashlib.sha256()
        file.seek(0)
        while piece := file.read(1 << 16):
            digest.update(piece)
        return cls(file, digest.hexdigest())


@dataclass(frozen=True)
class PictureURL:
    """Where an image is to be downloaded from, as it was sent."""

    url: str

    @property
    def sha256(self) -> str:
        """Of the URL, in hexadecimal: what lies there is not known yet."""
        return hashlib.sha256(f"url\0{self.url}".encode()).hexdigest()


def uploaded(value: object) -> Upload | PictureURL | None:
    """The file in a request's field: a part of a form as it came, or `{"image_url": "data:..."}`; or where it lies.

    Raises `InvalidRequest` for anything else.
    """
    if value is None or isinstance(value, Upload):
        return value
    url = value.get("image_url") if isinstance(value, dict) and set(value) == {"image_url"} else None
    if not isinstance(url, str):
        raise InvalidRequest(
            "input_reference",
            'input_reference must be an image file in a form, or {"image_url": "data:image/png;base64,..."}',
        )
    if url[:5].lower() != "data:":
        return PictureURL(url)
    return Upload.of(BytesIO(_content(url)))


def _content(url: str) -> bytes:
    """What a data URL holds. Names of types and parameters may be in either case; parameters do not matter."""
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = [part.strip().lower() for part in head.split(";")]
    if not comma or media_type not in _TYPES:
        raise _refused(f"a data URL of type {shorten(media_type)} is not supported; allowed: {', '.join(_TYPES)}")
    if "base64" not in parameters:
        raise _refused("the data URL must be in base64: data:image/png;base64,...")
    try:
        return base64.b64decode(unquote_to_bytes(data), validate=True)
    except (binascii.Error, ValueError):
        raise _refused("what follows the comma of the data URL is not valid base64") from None


def _refused(reason: str) -> InvalidRequest:
    return InvalidRequest("input_reference", f"input_reference: {reason}")
