"""Which addresses the service may connect to on a client's behalf, and the connection to one that was looked at."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: The addresses of a name and port. Raises `OSError`.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

#: Carries an IPv4 address in its last 32 bits, which a gateway connects to.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: How many of a name's addresses are tried.
MOST_ADDRESSES = 4


class AddressRefused(Exception):
    """The name has no address that may be called: none at all, or one that is not public."""


def literal(host: str) -> Address | None:
    """The address that a host is written as, in any notation that a resolver takes for one: 127.1, 0x7f000001 and
    2130706433 are 127.0.0.1. None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def may_be_called(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether the address is a public one, or in a network that an operator allows.

    What an IPv6 address wraps counts as itself: mapped IPv4, 6to4, NAT64.
    """
    inner = _wrapped(address)
    if inner is not None:
        return may_be_called(inner, allowed)
    if any(address in network for network in allowed):
        return True
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not special and not site_local


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class Resolver:
    """The host's own, in threads of its own: a name server that hangs must hold up nothing else."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name, in the order in which to try them. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _getaddrinfo, host, port)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Wait for no name here; a process that ends still waits for those that are being looked up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _getaddrinfo(host: str, port: int) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Resolves a name once, looks at every address of it, and connects to one that it has looked at.

    So no answer of a name server counts that was not checked. TLS goes on with the name, as the request's Host does.
    A name with a single address that may not be called is refused: it would be left to chance which one is called.
    """

    def __init__(self, allowed: Iterable[Network], resolve: Resolve) -> None:
        self._allowed, self._resolve = tuple(allowed), resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises `AddressRefused`, and as httpcore2's own for what cannot be connected to."""
        error: Exception | None = None
        for address in await self._addresses(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failure:
                error = failure
        assert error is not None
        raise error

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = [ipaddress.ip_address(address) for address in await self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError) as error:  # the last two of names that no resolver takes
            raise AddressRefused from error
        if not found or not all(may_be_called(address, self._allowed) for address in found):
            raise AddressRefused
        return [str(address) for address in found[:MOST_ADDRESSES]]

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        """Between httpcore2's own tries."""
        await self._network.sleep(seconds)
