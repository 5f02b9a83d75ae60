"""The shapes of an answer that is an error: OpenAI's, and by Accept that of RFC 9457."""

from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

PROBLEM = "application/problem+json"
#: Before a code: the name of a kind of problem, which leads nowhere and stays the same.
PROBLEM_TYPE = "urn:scalingcache:error:"


class ErrorDetail(BaseModel):
    """All four keys are always present."""

    message: str = Field(description="What was wrong, with which value, and what is allowed.")
    type: str = Field(description="The kind of error: invalid_request_error, rate_limit_error or server_error.")
    param: str | None = Field(description="The field that was wrong.")
    code: str = Field(description="Stable, for programs.")


class ErrorBody(BaseModel):
    """The body of every answer with a status of 400 and more, but for `/readyz`."""

    error: ErrorDetail


class Problem(BaseModel):
    """The same by RFC 9457, where the request accepts `application/problem+json`. `code` and `param` are ours."""

    type: str = Field(description="`urn:scalingcache:error:` and the code.")
    title: str = Field(description="What errors of this code have in common.")
    status: int
    detail: str = Field(description="The message.")
    code: str
    param: str | None


class ErrorResponse(JSONResponse):
    """An error in the one shape, or in the other, `problem`, where the request asks for that."""

    def __init__(self, status: int, detail: ErrorDetail, title: str, headers: dict[str, str] | None) -> None:
        super().__init__(ErrorBody(error=detail).model_dump(), status, headers)
        self.problem = Problem(
            type=PROBLEM_TYPE + detail.code,
            title=title,
            status=status,
            detail=detail.message,
            code=detail.code,
            param=detail.param,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to a request."""
        if wants_problem(", ".join(Headers(scope=scope).getlist("accept"))):
            self.body = self.render(self.problem.model_dump())
            self.headers["content-type"] = PROBLEM
            self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def wants_problem(accept: str) -> bool:
    """Whether an Accept header names the type of RFC 9457, and likes `application/json` no better. `*/*` names none."""
    likes = dict(map(_quality, accept.split(",")))
    return likes.get(PROBLEM, 0.0) > 0 and likes[PROBLEM] >= likes.get("application/json", 0.0)


def _quality(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    given: dict[str, Any] = dict(parameter.partition("=")[::2] for parameter in parameters)
    try:
        return name, float(given.get("q", 1))
    except ValueError:
        return name, 0.0


def error_response(
    status: int,
    *,
    message: str,
    type: str,
    code: str,
    title: str,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> ErrorResponse:
    """An answer that is an error. `message` and `param` are cut where they are long."""
    # Names and paths of the client's choice are in there, of any length.
    detail = ErrorDetail(message=message[:1000], type=type, param=param and param[:200], code=code)
    return ErrorResponse(status, detail, title, headers)
