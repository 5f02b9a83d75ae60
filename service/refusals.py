"""What a refused value is told: one sentence with the field, the value and what is allowed."""

from typing import Any

from workers.jobs.errors import InvalidRequest, plain_reason


def invalid_value(details: dict[str, Any]) -> InvalidRequest:
    """The first complaint of pydantic as one sentence with field, value and what is allowed."""
    param = ".".join(str(part) for part in details["loc"]) or "body"
    if details["type"] == "missing":
        return InvalidRequest(param, f"{param} is required")
    return InvalidRequest(param, f"{param} {shorten(details['input'])}: {plain_reason(str(details['msg']))}")


def shorten(value: object, limit: int = 80) -> str:
    """A value for a message: quoted, and cut where it is long."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "of that length"  # Python refuses to print the longest ones
    text = repr(value[: limit + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
