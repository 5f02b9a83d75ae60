"""The receiver that a request names: what can be said of its URL before anybody is asked for its name's addresses."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from service.addresses import Network, literal, may_be_called
from service.refusals import shorten
from workers.jobs.errors import InvalidRequest

MOST_CHARACTERS = 2048
#: Printable ASCII without what one parser takes for a separator and another does not.
_PLAIN = re.compile(r"[!-~]+")
_UNSAFE = re.compile(r"[\\\"<>^`{|}]")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.\-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\]")


def webhook_url(url: str, allowed: Iterable[Network]) -> str:
    """The URL with scheme and host in lower case, so that one receiver has one name.

    allowed: networks that may be called although they are not public. Raises `InvalidRequest`.
    """
    if len(url) > MOST_CHARACTERS:
        raise _wrong(url, f"must have at most {MOST_CHARACTERS} characters, not {len(url)}")
    if not _PLAIN.fullmatch(url) or _UNSAFE.search(url):
        raise _wrong(
            url, "must be of ASCII characters that a URL may have; others are percent-encoded, names in punycode"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _wrong(url, "is no URL: its host or port cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise _wrong(url, "must begin with https:// or http://")
    if "@" in parts.netloc:
        raise _wrong(url, "must have no user or password in it; the signature says who sends")
    if parts.fragment or url.endswith("#"):
        raise _wrong(url, "must have no fragment: it is never sent")
    bracketed = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(bracketed) or port == 0:
        raise _wrong(url, "must have a host name or an IP address, and a port from 1 to 65535 if any")
    address = literal(host.removesuffix("."))
    if address is not None and not may_be_called(address, allowed):
        raise _wrong(url, "leads to an address that is not public; the operator can allow its network")
    netloc = bracketed if port is None else f"{bracketed}:{port}"
    return parts._replace(netloc=netloc).geturl()


def _wrong(url: str, why: str) -> InvalidRequest:
    return InvalidRequest("webhook_url", f"webhook_url {shorten(url)} {why}")
