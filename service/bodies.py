"""From the bytes of a request to what it says: JSON or a form, by hand, because one call takes both."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from service.errors import MalformedBody, UnsupportedMediaType
from service.forms import read_form
from service.reference import Upload
from service.refusals import shorten
from service.schemas import Body, parse
from workers.jobs.artifacts import storage_errors
from workers.jobs.errors import InvalidRequest

_NESTED = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";]*)", re.I)
#: Up to here to read JSON takes less time than to have a thread do it.
SMALL_BYTES = 8192
#: UTF-8, and what is a part of it.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@asynccontextmanager
async def read_body(request: Request, schema: type[Body]) -> AsyncIterator[Body]:
    """A JSON or multipart body by its schema. Files in it are there as `Upload` until the block ends.

    Raises `MalformedBody`, `UnsupportedMediaType`, `InvalidRequest`, `StorageFull`.
    """
    header = request.headers.get("content-type", "")
    content_type = header.partition(";")[0].strip().lower()
    charset = _CHARSET.search(header)
    if charset and charset[1].strip().lower() not in _CHARSETS:
        raise UnsupportedMediaType(f"charset {charset[1][:80]!r} is not supported; allowed: utf-8")
    if content_type == "application/json":
        content = await request.body()
        if len(content) <= SMALL_BYTES:
            yield _of_json(content, schema)
        else:
            yield await run_in_threadpool(_of_json, content, schema)
    elif content_type == "multipart/form-data":
        with storage_errors("upload"):
            form = await read_form(header, request.stream())
        try:
            yield await run_in_threadpool(_of_form, form, schema)
        finally:
            await form.close()
    else:
        raise UnsupportedMediaType(
            f"content-type {content_type[:80]!r} is not supported; allowed: application/json, multipart/form-data"
        )


def _of_json(content: bytes, schema: type[Body]) -> Body:
    return parse(schema, json_fields(content))


def _of_form(form: FormData, schema: type[Body]) -> Body:
    return parse(schema, form_fields(form))


def json_fields(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object; NaN and infinity are no JSON, and no name comes twice. Raises `MalformedBody`."""
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedBody(f"the body is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise MalformedBody(f"the body must be a JSON object, not a JSON {type(fields).__name__}")
    # The parser above keeps the last of two without a word; this one tells, and its numbers are not looked at.
    json.loads(body, object_pairs_hook=_once, parse_int=str, parse_float=str)
    return fields


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = Counter(name for name, _ in pairs)
    if len(names) < len(pairs):
        [(name, _)] = names.most_common(1)
        raise MalformedBody(f"{shorten(name)} was sent more than once; send it once")


def form_fields(form: FormData) -> dict[str, Any]:
    """Plain names as strings or uploads, `name[key]` gathered into a dictionary. Raises `InvalidRequest`."""
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) and name != "input_reference":
            raise InvalidRequest(name, f"{name} was sent as a file; send it as a plain form field")
        nested = _NESTED.fullmatch(name)
        place, key = (fields.setdefault(nested[1], {}), nested[2]) if nested else (fields, name)
        if not isinstance(place, dict) or key in place:
            raise InvalidRequest(name, f"{name} was sent more than once; send it once")
        place[key] = Upload.of(value.file) if isinstance(value, UploadFile) else value
    return fields
