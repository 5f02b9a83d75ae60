"""The receiver that a request names: what can be said of its URL before anybody is asked for its name's addresses."""

from collections.abc import Iterable

from service.addresses import Network, literal, may_be_called
from service.urls import parts_of, wrong_url


def webhook_url(url: str, allowed: Iterable[Network]) -> str:
    """The URL with scheme and host in lower case, so that one receiver has one name.

    allowed: networks that may be called although they are not public. Raises `InvalidRequest`.
    """
    parts = parts_of("webhook_url", url)
    address = literal((parts.hostname or "").removesuffix("."))
    if address is not None and not may_be_called(address, allowed):
        raise wrong_url(
            "webhook_url", url, "leads to an address that is not public; the operator can allow its network"
        )
    return parts.geturl()
