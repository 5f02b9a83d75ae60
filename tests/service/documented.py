"""Whether an answer is one that the OpenAPI document has."""

import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator

Document = dict[str, Any]


def operations(document: Document) -> dict[str, dict[str, Any]]:
    """By method and path, as `GET /v1/videos/{video_id}`."""
    return {
        f"{method.upper()} {path}": call for path, calls in document["paths"].items() for method, call in calls.items()
    }


def operation_of(document: Document, method: str, path: str) -> str | None:
    """Which one a request calls; None for one that the document does not have. Paths without an id win."""
    found = [name for name in operations(document) if re.fullmatch(_pattern(name), f"{method} {path}")]
    return min(found, key=lambda name: name.count("{"), default=None)


def resolved(document: Document, thing: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` leads to; the thing itself where it is none."""
    while reference := thing.get("$ref"):
        thing = document
        for part in reference.removeprefix("#/").split("/"):
            thing = thing[part]
    return thing


def is_valid(document: Document, schema: dict[str, Any], value: object) -> bool:
    return Draft202012Validator({**schema, "components": document["components"]}).is_valid(value)


def check_documented(document: Document, response: httpx.Response) -> str:
    """The operation that was called. Fails where the document has another status, type or shape of answer for it."""
    name = operation_of(document, response.request.method, response.request.url.path)
    assert name is not None, response.request.url
    answers = operations(document)[name]["responses"]
    status, media = str(response.status_code), response.headers.get("content-type", "").partition(";")[0]
    assert status in answers, f"{name} answered {status}: {response.text[:300]}"
    answer = resolved(document, answers[status])
    if "content" not in answer:
        assert not response.content and {*answer.get("headers", ())} <= {*response.headers}, f"{name} answered {status}"
        return name
    content = answer["content"]
    assert media in content, f"{name} answered {status} with {media}"
    if media.endswith("json"):
        schema = content[media]["schema"]
        errors = list(
            Draft202012Validator({**schema, "components": document["components"]}).iter_errors(response.json())
        )
        assert not errors, f"{name}: {errors[0].message[:300]}"
    return name


def _pattern(name: str) -> str:
    return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", name))
