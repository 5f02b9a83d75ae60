"""Which addresses the service answers under, and which web pages may call it: its own alone.

A page of a stranger can have its reader's browser call what only that browser reaches. It can send a form without
asking first, and by a name of its own that leads to this address (DNS rebinding) it can even read the answers.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import HostNotTrusted, OriginNotAllowed, response_of
from service.refusals import shorten
from workers.jobs.errors import ScalingCacheError

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = ("", "same-origin", "none")


class OriginMiddleware:
    """Refuses a request before anything of it is read."""

    def __init__(self, app: ASGIApp, trusted_hosts: Iterable[str], public_url: str | None) -> None:
        """trusted_hosts: names, `*.example.com` for all below one, `*` for any. public_url: its host is trusted too."""
        self.app = app
        self._public = urlsplit(public_url or "")
        self._hosts = {host.lower() for host in (*trusted_hosts, self._public.hostname or "") if host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._refusal(scope["method"], Headers(scope=scope)) if scope["type"] == "http" else None
        if error is None:
            await self.app(scope, receive, send)
        else:
            scope.setdefault("state", {})["error_code"] = error.code
            await response_of(error)(scope, receive, send)

    def _refusal(self, method: str, headers: Headers) -> ScalingCacheError | None:
        named = headers.getlist("host")
        host = named[0] if len(named) == 1 else ""
        if not self._is_trusted(host):
            return HostNotTrusted(
                f"host {shorten(host)} is not served here; allowed: IP addresses and {', '.join(sorted(self._hosts))} "
                "(SCALINGCACHE_TRUSTED_HOSTS)"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in (host.lower(), self._public.netloc.lower()):
            return OriginNotAllowed(f"pages of {shorten(origin)} may not call this service; allowed: its own")
        if method not in _SAFE_METHODS and headers.get("sec-fetch-site", "") not in _OWN_SITES:
            return OriginNotAllowed("pages of other sites may not call this service; allowed: its own")
        return None

    def _is_trusted(self, host: str) -> bool:
        """No name leads here that is an address: those need not be listed."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if _is_address(name):
            return True
        above = [f"*.{name.split('.', n)[n]}" for n in range(1, name.count(".") + 1)]
        return bool(name) and not self._hosts.isdisjoint(("*", name, *above))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
