"""What the OpenAPI document says of the calls that answer with a file."""

from typing import Any


def file_answers(*media: str) -> dict[int | str, dict[str, Any]]:
    """The answers that are no errors, of a call that sends files of these types with support of `Range`."""
    file: dict[str, Any] = {"content": {each: {} for each in media}}
    location = {"schema": {"type": "string", "format": "uri"}, "description": "A link to the file, good for a while."}
    return {
        200: file,
        206: file,
        304: {"description": "The client has the file: its `If-None-Match` is the file's `ETag`."},
        307: {
            "description": "Where the operator has results lie in a bucket and be fetched from there: follow it.",
            "headers": {"location": location},
        },
    }
