"""Every way in which a request can fail, in the one shape: what this project raises, what the framework refuses."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.error_response import ErrorResponse, error_response
from service.errors import MalformedBody, response_of
from service.refusals import invalid_value
from workers.jobs.errors import ScalingCacheError

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
HTTP_CODES = {400: MalformedBody.code, 404: "not_found", 405: "method_not_allowed"}
HTTP_TITLES = {
    400: "The body is not what its content type says.",
    404: "There is nothing at this path.",
    405: "The path has other methods.",
}


async def on_error(request: Request, error: ScalingCacheError) -> JSONResponse:
    """What this project raises. From a status of 500 on the log says which error was behind it."""
    request.state.error_code = error.code
    response = response_of(error)
    if response.status_code >= 500:
        cause = type(error.__cause__ or error).__name__
        structlog.get_logger("service").error("request failed", error=error.code, cause=cause)
    return response


async def on_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    """What FastAPI refuses: a query, a header, a path."""
    details = error.errors()[0]
    where, *loc = details["loc"]
    return await on_error(request, invalid_value({**details, "loc": loc or [where]}))


async def on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """What Starlette itself refuses: an unknown path, a wrong method, a malformed form."""
    message = f"{request.method} {request.url.path}: {error.detail}"
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["allow"] = _allowed_methods(request)
        message += f"; allowed: {headers['allow']}"
    request.state.error_code = http_code(error.status_code)
    return http_error(error.status_code, message, headers)


def http_code(status: int) -> str:
    """The code of a status that Starlette answers with."""
    return HTTP_CODES.get(status, "http_error")


def http_error(status: int, message: str, headers: dict[str, str] | None = None) -> ErrorResponse:
    """An answer that no error class of ours stands for."""
    return error_response(
        status,
        message=message,
        type="invalid_request_error" if status < 500 else "server_error",
        code=http_code(status),
        title=HTTP_TITLES.get(status, "The request cannot be served."),
        headers=headers,
    )


def _allowed_methods(request: Request) -> str:
    """Of all routes with this path; the router itself tells those of the first one only."""
    scopes = [{**request.scope, "method": method} for method in METHODS]
    return ", ".join(
        scope["method"]
        for scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    )


def install(app: FastAPI) -> None:
    """Replace the framework's own handlers, so that no answer has another shape."""
    app.exception_handler(ScalingCacheError)(on_error)
    app.exception_handler(RequestValidationError)(on_validation_error)
    app.exception_handler(HTTPException)(on_http_exception)
