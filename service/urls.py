"""A URL that a client names and this service is to call: what can be said of it before anything is looked up."""

import re
from urllib.parse import SplitResult, urlsplit

from service.refusals import shorten
from workers.jobs.errors import InvalidRequest

MOST_CHARACTERS = 2048
#: Printable ASCII without what one parser takes for a separator and another does not.
_PLAIN = re.compile(r"[!-~]+")
_UNSAFE = re.compile(r"[\\\"<>^`{|}]")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.\-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\]")


def parts_of(param: str, url: str) -> SplitResult:
    """The parts, with scheme and host in lower case, so that one place has one name. Raises `InvalidRequest`.

    param: the field that the URL came in.
    """
    if len(url) > MOST_CHARACTERS:
        raise wrong_url(param, url, f"must have at most {MOST_CHARACTERS} characters, not {len(url)}")
    if not _PLAIN.fullmatch(url) or _UNSAFE.search(url):
        says = "must be of ASCII characters that a URL may have; others are percent-encoded, names in punycode"
        raise wrong_url(param, url, says)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong_url(param, url, "is no URL: its host or port cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise wrong_url(param, url, "must begin with https:// or http://")
    if "@" in parts.netloc:
        raise wrong_url(param, url, "must have no user or password in it")
    if parts.fragment or url.endswith("#"):
        raise wrong_url(param, url, "must have no fragment: it is never sent")
    bracketed = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(bracketed) or port == 0:
        raise wrong_url(param, url, "must have a host name or an IP address, and a port from 1 to 65535 if any")
    return parts._replace(netloc=bracketed if port is None else f"{bracketed}:{port}")


def wrong_url(param: str, url: str, why: str) -> InvalidRequest:
    """For a URL that is not called."""
    return InvalidRequest(param, f"{param} {shorten(url)} {why}")
