"""What HTTP says of a client that has a file already, or wants a part of it."""

from starlette.datastructures import Headers
from starlette.responses import Response

from service.error_response import ErrorResponse
from service.errors import RangeNotSatisfiable, response_of

#: The client may keep it, but asks each time: it may have been deleted.
CACHING = "private, no-cache"


def has_already(headers: Headers, etag: str) -> bool:
    """By its hash, which a weak comparison looks at as well."""
    tags = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return "*" in tags or etag in tags


def not_modified(etag: str) -> Response:
    """The answer to a client that has the file."""
    return Response(status_code=304, headers={"etag": etag, "cache-control": CACHING})


def range_refused(asked: str, size: int | str) -> ErrorResponse:
    """The answer to a range that the file does not have."""
    response = response_of(RangeNotSatisfiable(f"range {asked[:80]!r} cannot be served; the file has {size} bytes"))
    response.headers["content-range"] = f"bytes */{size}"
    return response
