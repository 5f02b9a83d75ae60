"""The image that a video starts from, as a client may send it."""

import base64
import binascii
import re

from service.errors import NotSupported
from workers.jobs.errors import InvalidRequest
from workers.media.first_frame import unreadable

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
            'input_reference must be an image file in a form, or {"image_url": "data:image/png;base64,..."}',
        )
    if not url.startswith("data:"):
        raise NotSupported(
            "input_reference", "input_reference: images are not downloaded from URLs; upload the file in a form"
        )
    match = _DATA_URL.fullmatch(url)
    try:
        return base64.b64decode(match["content"] if match else "?", validate=True)
    except binascii.Error:
        raise unreadable() from None
