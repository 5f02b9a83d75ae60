"""Calls on preference studies that several tests make."""

from typing import Any

from fastapi.testclient import TestClient


def answer(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def invite(client: TestClient, study: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return answer(client.post(f"/v1/studies/{study['id']}/invitations", json=fields))


def refusal(response: Any, status: int) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["error"]["message"])
