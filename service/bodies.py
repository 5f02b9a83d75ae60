"""From the bytes of a request to its fields: JSON or a form, by hand, because one call takes both."""

import re
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile

from service.errors import MalformedBody, UnsupportedMediaType
from workers.jobs.errors import InvalidRequest

_NESTED = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")


async def read_fields(request: Request) -> dict[str, Any]:
    """The fields of a JSON or multipart body. Raises `MalformedBody`, `UnsupportedMediaType`, `InvalidRequest`."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        return json_fields(await request.body())
    if content_type == "multipart/form-data":
        async with request.form(max_files=1, max_fields=100) as form:
            fields = form_fields(form)
            # The form's files are gone when it closes.
            files = {name: await value.read() for name, value in fields.items() if isinstance(value, UploadFile)}
            return fields | files
    raise UnsupportedMediaType(
        f"content-type {content_type[:80]!r} is not supported; allowed: application/json, multipart/form-data"
    )


def json_fields(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object; NaN and infinity are no JSON. Raises `MalformedBody`."""
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedBody(f"the body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise MalformedBody(f"the body must be a JSON object, not a JSON {type(fields).__name__}")
    return fields


def form_fields(form: FormData) -> dict[str, Any]:
    """Plain names as strings or files, `name[key]` gathered into a dictionary. Raises `InvalidRequest`."""
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) and name != "input_reference":
            raise InvalidRequest(name, f"{name} was sent as a file; send it as a plain form field")
        nested = _NESTED.fullmatch(name)
        place, key = (fields.setdefault(nested[1], {}), nested[2]) if nested else (fields, name)
        if not isinstance(place, dict) or key in place:
            raise InvalidRequest(name, f"{name} was sent more than once; send it once")
        place[key] = value
    return fields
