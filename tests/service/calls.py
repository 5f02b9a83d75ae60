"""Calls that many tests make."""

from typing import Any

from fastapi.testclient import TestClient


def create(client: TestClient, **fields: Any) -> dict[str, Any]:
    """A video that was taken, as the service shows it."""
    response = client.post("/v1/videos", json={"prompt": "a red ball"} | fields)
    assert response.status_code == 200, response.text
    video: dict[str, Any] = response.json()
    return video
