"""Multipart forms, read to their very end, in UTF-8 and nothing else."""

from collections.abc import AsyncGenerator

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import MalformedBody

MOST_FIELDS = 100
MOST_FILES = 1


async def read_form(content_type: str, stream: AsyncGenerator[bytes, None]) -> FormData:
    """The form in a body. Raises `MalformedBody`; whoever gets the form closes it."""
    parser = _Parser(_as_bytes(content_type), stream, max_files=MOST_FILES, max_fields=MOST_FIELDS)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MalformedBody(f"the body is not a valid form: {error.message}") from None
    try:
        if not parser.ended:
            raise MalformedBody("the body is not a whole form: it ends before its closing boundary")
        return FormData([(_text(name, "a name"), _value(name, value)) for name, value in form.multi_items()])
    except MalformedBody:
        await form.close()
        raise


class _Parser(MultiPartParser):
    """Starlette's, which takes a form that was cut off for a whole one."""

    ended = False

    def on_end(self) -> None:
        self.ended = True


def _as_bytes(content_type: str) -> Headers:
    """The content type with another charset: where UTF-8 fails Starlette guesses, and Latin-1 keeps every byte."""
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if boundary is None:
        raise MalformedBody("the content-type has no boundary")
    quoted = boundary.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"')
    return Headers({"content-type": f'multipart/form-data; charset=latin-1; boundary="{quoted}"'})


def _value(name: str, value: str | UploadFile) -> str | UploadFile:
    return _text(value, _text(name, "a name")) if isinstance(value, str) else value


def _text(kept: str, what: str) -> str:
    try:
        return kept.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise MalformedBody(f"the text of {what[:80]} is not UTF-8") from None
