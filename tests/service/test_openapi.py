"""The OpenAPI document shows each call and each error by an example, and says of no answer what it is not."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from docs.errors_page import call_codes
from service.body_docs import EXAMPLES
from service.schemas import parse
from service.settings import Settings
from tests.queues import Queue
from tests.service.documented import Document, check_documented, is_valid, operations, resolved
from tests.service.fake_worker import FakeWorker
from tests.service.image_model import IMAGE_MODEL, MODELS, live_image_worker
from tests.service.judged import Judged
from tests.service.settings import settings_in

#: What has no text to show: files.
BINARY = {"video/mp4", "image/png", "image/webp"}


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return settings_in(tmp_path, redis_url, *MODELS)


@pytest.fixture
def document(client: TestClient) -> Document:
    document: Document = client.get("/openapi.json").json()
    return document


def shown(document: Document, content: dict[str, Any]) -> list[Any]:
    """The examples of a body or an answer."""
    alone = [content["example"]] if "example" in content else []
    return alone + [resolved(document, each)["value"] for each in content.get("examples", {}).values()]


def test_each_answer_has_examples_of_its_schema(document: Document) -> None:
    for name, call in operations(document).items():
        for status, answer in call["responses"].items():
            for media, content in resolved(document, answer).get("content", {}).items():
                values = shown(document, content)
                assert values or media in BINARY, f"give the {media} of {name}, {status}, a row in service/examples.py"
                assert all(is_valid(document, content.get("schema", {}), value) for value in values), (name, status)


def test_each_body_has_examples_that_the_service_takes(document: Document) -> None:
    for name, call in operations(document).items():
        for media, content in call.get("requestBody", {"content": {}})["content"].items():
            values = shown(document, content)
            assert values, f"give the body of {name} a row in service/body_docs.py"
            assert all(is_valid(document, content["schema"], value) for value in values), (name, media)
    for schema, examples in EXAMPLES.items():
        for value in examples.values():
            parse(schema, value)


def test_each_id_in_a_path_has_an_example_and_a_call_that_leads_to_it(document: Document) -> None:
    calls = operations(document)
    links = [link for call in calls.values() for link in call["responses"]["200"].get("links", {}).values()]
    for name, call in calls.items():
        parameters = [each for each in call.get("parameters", ()) if each["in"] == "path"]
        assert all("example" in each for each in parameters), name
        if parameters:
            [link] = [each for each in links if each["operationId"] == call["operationId"]]
            assert set(link["parameters"]) == {each["name"] for each in parameters}


@pytest.mark.parametrize(("media", "prefix"), [("application/json", "error"), ("application/problem+json", "problem")])
def test_each_error_of_a_call_is_shown_with_its_status(document: Document, media: str, prefix: str) -> None:
    found = set()
    for answer in document["components"]["responses"].values():
        for code, example in answer["content"][media]["examples"].items():
            assert example["$ref"] == f"#/components/examples/{prefix}.{code}"
            status = document["components"]["examples"][f"problem.{code}"]["value"]["status"]
            assert answer["description"] == HTTPStatus(status).phrase
            found.add((code, status))
    # An image's job can fail with any code of its own; one stands for them. No `http_error` is known.
    assert found - {("generation_failed", 500)} == call_codes() - {("http_error", 400)}


def test_every_call_answers_what_the_document_says(
    client: TestClient, document: Document, settings: Settings, queue: Queue, worker: FakeWorker
) -> None:
    seen = set()

    def call(method: str, path: str, **request: Any) -> Any:
        response = client.request(method, path, **request)
        assert response.is_success or response.status_code == 503, response.text
        seen.add(check_documented(document, response))
        return response

    body = {"model": "wan-test", "prompt": "a red ball"}
    hook = {"webhook_url": "http://127.0.0.1:9/hooks"}
    secret = call("POST", "/v1/webhooks/secrets").json()["id"]
    video = call("POST", "/v1/videos", json=body | hook).json()["id"]
    worker.run_one()
    for path in (
        f"/v1/videos/{video}",
        f"/v1/videos/{video}/content",
        "/v1/videos",
        "/v1/models",
        "/v1/models/wan-test",
    ):
        call("GET", path)
    call("GET", f"/v1/videos/{video}/content", headers={"range": "bytes=0-3"})
    call("GET", f"/v1/videos/{video}/events")
    call("POST", "/v1/videos:estimate", json=body)
    other = call("POST", f"/v1/videos/{video}/remix", json={"prompt": "a blue ball"}).json()["id"]
    call("POST", f"/v1/videos/{other}/cancel")
    call("POST", "/v1/videos:cancel", json={"all": True})
    call("DELETE", f"/v1/videos/{other}")
    delivery = call("GET", "/v1/webhooks/deliveries").json()["data"][0]["id"]
    call("GET", f"/v1/webhooks/deliveries/{delivery}")
    call("POST", f"/v1/webhooks/deliveries/{delivery}/redeliver")
    call("GET", "/v1/webhooks/secrets")
    call("DELETE", f"/v1/webhooks/secrets/{secret}")
    with live_image_worker(settings):
        images = call("POST", "/v1/images/generations", json=body | {"model": IMAGE_MODEL}).json()
        call("POST", f"/v1/images/{images['data'][0]['id']}/remix", json={"prompt": "a blue ball"})
    for path in ("", "/content", "/events"):
        call("GET", f"/v1/images/{images['data'][0]['id']}{path}")
    call("GET", "/v1/images")
    call("POST", "/v1/images:estimate", json=body | {"model": IMAGE_MODEL})
    call("DELETE", f"/v1/images/{images['data'][0]['id']}")
    for path in ("/healthz", "/readyz", "/metrics", "/v1/status", "/v1/usage"):
        call("GET", path)
    pair = [call("POST", "/v1/videos", json=body | {"seed": 3, "sf": sf}).json()["id"] for sf in (50, 10)]
    Judged(worker).finish_all(2)
    study = f"/v1/studies/{call('POST', '/v1/studies', json={'name': 'which', 'ids': pair}).json()['id']}"
    invitation = call("POST", f"{study}/invitations", json={}).json()
    invited = {"headers": {"authorization": f"Bearer {invitation['token']}"}}
    ballot = f"/v1/ballots/{call('POST', '/v1/ballots', **invited).json()['id']}"
    for path in (ballot, f"{ballot}/pairs/1", f"{ballot}/pairs/1/left"):
        call("GET", path, **invited)
    call("PUT", f"{ballot}/pairs/1", json={"choice": "left"}, **invited)
    for path in ("/v1/studies", study, f"{study}/results", f"{study}/results.csv"):
        call("GET", path)
    call("DELETE", f"{study}/invitations/{invitation['id']}")
    call("DELETE", study)
    client.app.state.resources.broadcast.end()  # type: ignore[attr-defined]  # this stream would not end by itself
    assert call("GET", "/v1/events").status_code == 503
    assert seen == set(operations(document)), "a call of the document was not made here"


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("POST", "/v1/videos", {"json": {"prompt": ""}}),
        ("POST", "/v1/videos", {"json": {"prompt": "a", "model": "sora-2"}}),
        ("POST", "/v1/videos", {"content": b"{", "headers": {"content-type": "application/json"}}),
        ("POST", "/v1/videos", {"content": b"<a/>", "headers": {"content-type": "text/xml"}}),
        ("POST", "/v1/videos", {"json": {"prompt": "a" * 2_000_000}}),
        ("POST", "/v1/videos", {"json": {"prompt": "a"}, "headers": {"origin": "https://other.example"}}),
        ("GET", "/v1/videos", {"headers": {"host": "other.example"}}),
        ("GET", "/v1/videos", {"params": {"limit": "x"}, "headers": {"accept": "application/problem+json"}}),
        ("GET", "/v1/videos/video_none", {}),
        ("POST", "/v1/videos:cancel", {"json": {"ids": []}}),
        ("GET", "/healthz", {"headers": {"host": "other.example"}}),
    ],
)
def test_what_is_refused_is_in_the_document(
    client: TestClient, document: Document, method: str, path: str, request_: dict[str, Any]
) -> None:
    response = client.request(method, path, **request_)
    assert 400 <= response.status_code < 500
    check_documented(document, response)
