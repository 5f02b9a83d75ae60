"""The page that shows every call and tries it, without anything from elsewhere: it works in a closed network."""

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from service.permissions import may_read_docs

router = APIRouter(dependencies=[Depends(may_read_docs)], include_in_schema=False)
assets = StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static")
"""Swagger UI, as the library brings it."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Addresses are relative, so that they hold behind a proxy's prefix.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ScalingCache Serve: the HTTP API</title>
<link rel="icon" href="docs/assets/favicon.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="calls"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({url: "openapi.json", dom_id: "#calls", deepLinking: true, validatorUrl: null})
"""


@router.get("/docs")
def page() -> HTMLResponse:
    """The page. What it may load and run is in its policy: nothing but its own files."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})


@router.get("/docs/start.js")
def start() -> Response:
    """A file of its own, since the page may hold no script."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/assets/{path:path}", response_model=None)
async def asset(request: Request, path: str) -> Response:
    """A file of Swagger UI."""
    return await assets.get_response(path, request.scope)


@router.get("/openapi.json")
async def openapi(request: Request) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document
