"""The page where people make videos and look at them. It works by the calls of the API alone, as any client does."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service.conditions import has_already
from service.page_files import PageFile, PageFiles

#: Nothing runs that is not a file of the page, and nothing is sent elsewhere. Previews and results are data and blobs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types scalingcache"
)
_FOREVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"


def router(files: PageFiles) -> APIRouter:
    """The page's own calls. They need no key: nothing of anybody is in these files."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def index(request: Request) -> Response:
        """The page."""
        headers = {
            "content-security-policy": POLICY,
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
        }
        return _answer(request, files.index, _ASK_FIRST, headers)

    @routes.get("/page/{version}/{path:path}")
    async def file(request: Request, version: str, path: str) -> Response:
        """A file that the page loads. Its address names the version, so that it never changes."""
        found = files.files.get(path) if version == files.version else None
        if found is None:
            raise HTTPException(404, "Not Found")
        return _answer(request, found, _FOREVER, {})

    return routes


def _answer(request: Request, file: PageFile, caching: str, headers: dict[str, str]) -> Response:
    headers |= {"etag": file.etag, "cache-control": caching}
    if has_already(request.headers, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
