"""What /docs says."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.schemas import CreateVideo, names_of
from tests.service.documented import operations, resolved


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    assert client.get("/docs").status_code == 200
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def test_the_page_loads_nothing_from_elsewhere_and_all_that_it_loads_is_there(client: TestClient) -> None:
    page = client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 4
    for link in links:
        assert client.get(f"/{link}").status_code == 200, link
    assert "<script>" not in page.text
    assert client.get("/docs/start.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path", ["/docs/assets/nothing.js", "/docs/assets/../app.py", "/docs/assets/%2e%2e/core.py", "/redoc"]
)
def test_nothing_else_lies_beside_the_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and answer.json()["error"]["code"]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data"])
def test_create_is_documented_with_every_field_in_both_content_types(
    document: dict[str, Any], content_type: str
) -> None:
    body = document["paths"]["/v1/videos"]["post"]["requestBody"]
    schema = body["content"][content_type]["schema"]
    assert body["required"] is True and schema["required"] == ["prompt"]
    assert set(schema["properties"]) == {name for names in names_of(CreateVideo).values() for name in names}
    assert all(field["description"] for field in schema["properties"].values())
    assert "$defs" not in schema


def test_errors_are_documented_in_their_shape_and_in_no_other(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for name, call in operations(document).items():
        errors = {status: answer for status, answer in call["responses"].items() if status >= "400"}
        assert {"400", "500", "503"} <= errors.keys()
        for status, answer in errors.items():
            if (name, status) == ("GET /readyz", "503"):  # its report
                continue
            shapes = resolved(document, answer)["content"]
            assert shapes["application/json"]["schema"]["$ref"].endswith("/ErrorBody"), name
            assert shapes["application/problem+json"]["schema"]["$ref"].endswith("/Problem"), name


def test_the_answer_of_create_is_documented(document: dict[str, Any]) -> None:
    answer = document["paths"]["/v1/videos"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["$ref"].endswith("/Video")
    assert "speedup" in document["components"]["schemas"]["Video"]["properties"]


def test_only_calls_that_work_are_documented(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {
        "/v1/videos",
        "/v1/videos/{video_id}",
        "/v1/videos/{video_id}/cancel",
        "/v1/videos/{video_id}/content",
        "/v1/videos/{video_id}/remix",
        "/v1/videos:cancel",
        "/v1/videos:estimate",
        "/v1/videos/{video_id}/events",
        "/v1/events",
        "/v1/images/{image_id}/events",
        "/v1/images",
        "/v1/images:estimate",
        "/v1/images/generations",
        "/v1/images/{image_id}",
        "/v1/images/{image_id}/content",
        "/v1/images/{image_id}/remix",
        "/v1/webhooks/secrets",
        "/v1/webhooks/secrets/{secret_id}",
        "/v1/webhooks/deliveries",
        "/v1/webhooks/deliveries/{delivery_id}",
        "/v1/webhooks/deliveries/{delivery_id}/redeliver",
        "/v1/studies",
        "/v1/studies/{study_id}",
        "/v1/studies/{study_id}/invitations",
        "/v1/studies/{study_id}/invitations/{invitation_id}",
        "/v1/studies/{study_id}/results",
        "/v1/studies/{study_id}/results.csv",
        "/v1/ballots",
        "/v1/ballots/{ballot_id}",
        "/v1/ballots/{ballot_id}/pairs/{position}",
        "/v1/ballots/{ballot_id}/pairs/{position}/{side}",
        "/v1/status",
        "/v1/models",
        "/v1/models/{model_id}",
        "/v1/usage",
        "/healthz",
        "/readyz",
        "/metrics",
    }
