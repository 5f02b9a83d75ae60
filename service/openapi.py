"""The OpenAPI document: FastAPI's own, with examples, with the errors of each call, and with where an id leads."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from service import examples, study_examples
from service.error_examples import error_examples
from service.error_response import PROBLEM, ErrorBody, Problem
from service.error_response import ErrorResponse as Answer

#: Statuses that any call can have: of what is around it, and of a field that is sent twice.
EVERYWHERE = (400, 403, 405, 408, 431, 500, 503)
WITH_KEY = (401,)
WITH_BODY = (413, 415)
WITH_ID = (404,)
#: What a call can have beside the statuses that follow from its key, its body and its path.
BESIDE: dict[str, tuple[int, ...]] = {
    "POST /v1/videos": (404, 422, 429),
    "POST /v1/videos:estimate": (404,),
    "POST /v1/images:estimate": (404,),
    "POST /v1/videos/{video_id}/remix": (410, 422, 429),
    "GET /v1/videos/{video_id}/content": (410, 416, 422),
    "GET /v1/events": (429,),
    "GET /v1/videos/{video_id}/events": (429,),
    "GET /v1/images/{image_id}/events": (429,),
    "POST /v1/images/generations": (404, 410, 429, 504),
    "POST /v1/images/{image_id}/remix": (410, 422, 429, 504),
    "GET /v1/images/{image_id}/content": (410, 416, 422),
    "GET /v1/ballots/{ballot_id}/pairs/{position}": (410,),
    "PUT /v1/ballots/{ballot_id}/pairs/{position}": (422,),
    "GET /v1/ballots/{ballot_id}/pairs/{position}/{side}": (410,),
    "GET /metrics": (401, 404),
}
_ID, _FIRST_ID = "$response.body#/id", "$response.body#/data/0/id"
#: Where a path's parameters come from: from which call, and there from where.
FOUND_IN: dict[str, dict[str, str | int]] = {
    "POST /v1/videos": {"video_id": _ID},
    "POST /v1/images/generations": {"image_id": _FIRST_ID},
    "GET /v1/models": {"model_id": _FIRST_ID},
    "POST /v1/webhooks/secrets": {"secret_id": _ID},
    "GET /v1/webhooks/deliveries": {"delivery_id": _FIRST_ID},
    "POST /v1/studies": {"study_id": _ID},
    "POST /v1/studies/{study_id}/invitations": {"study_id": "$request.path.study_id", "invitation_id": _ID},
    "POST /v1/ballots": {"ballot_id": _ID, "position": 1, "side": "left"},
}
#: Where a key is not needed, as `service/permissions.py` has it: by a setting for the last two, which also take one.
KEYLESS: dict[str, list[dict[str, list[str]]]] = {
    "GET /healthz": [],
    "GET /readyz": [{}, {"api_key": []}],
    "GET /metrics": [{}, {"api_key": []}],
}
#: What is no JSON, by its type.
_TEXTS = {
    "text/plain": "# TYPE scalingcache_queue_up gauge\nscalingcache_queue_up 1.0\n",
    "text/event-stream": 'event: preview\ndata: {"id":"video_x","step":4,"image":"data:image/webp;base64,UklG"}\n\n',
    "text/csv": 'model,setting,baseline,pairs,votes\nwan-tiny,"sf 10, 50 steps","uncached, 50 steps",1,12\n',
}
EXAMPLES = examples.EXAMPLES | study_examples.EXAMPLES
PARAMETERS = examples.PARAMETERS | study_examples.PARAMETERS
_PLACEHOLDER = re.compile(r"{(\w+)}")


class DocumentedApp(FastAPI):
    """An application whose document is complete."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components, answers = document["components"], error_examples()
    components["examples"] = {
        f"{kind.__name__}.{name}": {"value": value.model_dump(mode="json")}
        for kind, named in EXAMPLES.items()
        for name, value in named.items()
    }
    components["examples"] |= dict(sorted(_error_values(answers)))
    components["responses"] = {
        _name(status): _error_response(status, answers) for status in sorted({e.status_code for e in answers.values()})
    }
    calls = {
        f"{method.upper()} {path}": call for path, each in document["paths"].items() for method, call in each.items()
    }
    for name, call in calls.items():
        _show_answers(call)
        _name_errors(name, call)
        _show_parameters(call)
        if name in KEYLESS:
            call["security"] = KEYLESS[name]
    _link(calls)
    return document


def _error_values(answers: dict[str, Answer]) -> Iterator[tuple[str, Any]]:
    for code, answer in answers.items():
        yield f"error.{code}", {"summary": answer.problem.title, "value": json.loads(bytes(answer.body))}
        yield f"problem.{code}", {"summary": answer.problem.title, "value": answer.problem.model_dump()}


def _error_response(status: int, answers: dict[str, Answer]) -> dict[str, Any]:
    codes = sorted(code for code, answer in answers.items() if answer.status_code == status)
    shapes = (("application/json", "error", ErrorBody), (PROBLEM, "problem", Problem))
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {
            name: {"schema": {"type": "string"}, "example": value}
            for code in codes
            for name, value in answers[code].headers.items()
            if not name.startswith("content-")
        },
        "content": {
            media: {
                "schema": {"$ref": f"#/components/schemas/{kind.__name__}"},
                "examples": {code: {"$ref": f"#/components/examples/{prefix}.{code}"} for code in codes},
            }
            for media, prefix, kind in shapes
        },
    }


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _show_answers(call: dict[str, Any]) -> None:
    by_name = {kind.__name__: named for kind, named in EXAMPLES.items()}
    for status, answer in call["responses"].items():
        for media, content in answer.get("content", {}).items():
            kind = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            names = list(by_name.get(kind, ()))
            if len(names) > 1 and kind == "Readiness":  # each belongs to one of the two statuses
                names = ["ready" if status == "200" else "not_ready"]
            if names:
                content["examples"] = {name: {"$ref": f"#/components/examples/{kind}.{name}"} for name in names}
            elif media in _TEXTS:
                content["example"] = _TEXTS[media]


def _name_errors(name: str, call: dict[str, Any]) -> None:
    statuses = {*EVERYWHERE, *BESIDE.get(name, ())}
    statuses |= {*WITH_KEY} if "security" in call else set()
    statuses |= {*WITH_BODY} if "requestBody" in call else set()
    statuses |= {*WITH_ID} if _PLACEHOLDER.search(name) else set()
    own = {status: answer for status, answer in call["responses"].items() if not status.endswith("XX")}
    errors = {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in sorted(statuses)}
    call["responses"] = errors | own
    call["responses"] = dict(sorted(call["responses"].items()))


def _show_parameters(call: dict[str, Any]) -> None:
    for parameter in call.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["example"] = PARAMETERS[parameter["name"]]


def _link(calls: dict[str, dict[str, Any]]) -> None:
    for name, call in calls.items():
        if not (needed := _PLACEHOLDER.findall(name)):
            continue
        source, found = next(each for each in FOUND_IN.items() if each[1].keys() >= set(needed))
        calls[source]["responses"]["200"].setdefault("links", {})[call["operationId"]] = {
            "operationId": call["operationId"],
            "parameters": {placeholder: found[placeholder] for placeholder in needed},
            "description": call["summary"],
        }
