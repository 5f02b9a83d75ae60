"""A catalogue that also has models which start from an image, and the call that brings them one."""

from typing import Any

from fastapi.testclient import TestClient

from tests.catalogues import a_model
from tests.service.settings import VIDEO_MODEL

_LARGER = {"max_width": 192, "max_height": 192}
MODELS = (
    VIDEO_MODEL,
    a_model("animator", "wan-i2v", limits=_LARGER),
    a_model("either", "wan-ti2v", limits=_LARGER),
)
BODY = {"prompt": "it rises", "model": "animator"}


def post(client: TestClient, content: bytes | None, headers: dict[str, str] | None = None, **fields: str) -> Any:
    """As a form, the image as a file in it."""
    parts: dict[str, Any] = {name: (None, value) for name, value in (BODY | fields).items()}
    if content is not None:
        parts["input_reference"] = ("frame", content, "application/octet-stream")
    return client.post("/v1/videos", files=parts, headers=headers)
