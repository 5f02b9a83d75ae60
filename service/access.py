"""Around every request: its id, its line in the log, its place in the metrics, and the answer when all else fails."""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import internal_error
from service.metrics import Metrics

_SANE_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")
_CLIENT_LEFT = 499
#: Of a path: it may have as many as the headers together.
LOGGED_CHARACTERS = 200
# Asked every few seconds by machines: in the log only when they fail.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class AccessLogMiddleware:
    """The outermost middleware of ours, so that no answer is without an id and no error without our shape."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._log = structlog.get_logger("service")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(scope.get("state", {}).get("headers", {}))
                headers["x-request-id"] = request_id
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, tagged)
            except ClientDisconnect:
                status = _CLIENT_LEFT
            except Exception:
                self._log.exception("unhandled error")
                if status:
                    raise  # An answer has begun: only a cut connection can tell the client that it is not whole.
                await internal_error()(scope, receive, tagged)
            finally:
                self._record(scope, status or 500, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.request_done(route, scope["method"], status, seconds)
        state = scope.get("state", {})
        log = self._log.debug if route in _QUIET and status < 400 else self._log.info
        log(
            "request",
            method=scope["method"][:LOGGED_CHARACTERS],
            path=scope["path"][:LOGGED_CHARACTERS],
            route=route,
            status=status,
            error=state.get("error_code"),
            account=state.get("account"),
            api_key=state.get("api_key"),
            seconds=round(seconds, 6),
        )


def _request_id(offered: str) -> str:
    """The client's own id where it is safe to log and send back, else a new one."""
    return offered if _SANE_ID.fullmatch(offered) else f"req_{secrets.token_hex(16)}"
