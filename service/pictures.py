"""Images that a request names by URL: from hosts that an operator listed, at public addresses, within bounds.

Off unless there is a list. What comes is decoded as an upload is: nothing here looks into it.
"""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from typing import IO, cast
from urllib.parse import SplitResult

import anyio
import httpcore2

from service.addresses import AddressRefused, GuardedNetwork, Network, Resolve
from service.errors import NotSupported, Overloaded
from service.limits import MULTIPART_BYTES
from service.reference import PictureURL, Upload
from service.urls import parts_of, wrong_url
from workers.jobs.artifacts import storage_errors
from workers.jobs.errors import InvalidRequest

FIELD = "input_reference"
#: As much as a form may bring.
MOST_BYTES = MULTIPART_BYTES
#: How long a download may take in all, and how long each wait for its host may be.
DOWNLOAD_SECONDS, WAIT_SECONDS = 20.0, 5.0
#: How many there may be at a time; more are refused, not queued.
MOST_DOWNLOADS = 8
#: A host as an operator lists it: a name, all names below one, and a port where it is not the scheme's own.
LISTED = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.\-]*[a-z0-9_])?(:\d{1,5})?")
_PORTS = {"http": 80, "https": 443}


class Pictures:
    """Downloads images. For one event loop.

    hosts: those that may be asked. allowed: networks that may be called although they are not public.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        resolve: Resolve,
        allowed: Iterable[Network] = (),
        *,
        most_bytes: int = MOST_BYTES,
        seconds: float = DOWNLOAD_SECONDS,
    ) -> None:
        self._hosts, self._most_bytes, self._seconds = tuple(hosts), most_bytes, seconds
        self._free = anyio.CapacityLimiter(MOST_DOWNLOADS)
        # A connection is for one request: the next one looks at the name's addresses again.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=MOST_DOWNLOADS,
            max_keepalive_connections=0,
            network_backend=GuardedNetwork(allowed, resolve),
        )
        self._agent = f"ScalingCache-Serve/{version('scalingcache-serve')}"

    def check(self, picture: PictureURL) -> SplitResult:
        """The URL's parts. Raises `NotSupported` where nothing is downloaded, `InvalidRequest` for another host."""
        if not self._hosts:
            raise NotSupported(FIELD, f"{FIELD}: images are not downloaded from URLs; upload the file in a form")
        parts = parts_of(FIELD, picture.url)
        if not _is_listed(parts, self._hosts):
            says = f"names a host or port that images are not downloaded from; allowed: {', '.join(self._hosts)}"
            raise wrong_url(FIELD, picture.url, says)
        return parts

    async def download(self, picture: PictureURL) -> Upload:
        """The file, for whoever closes it. Raises `InvalidRequest`, `Overloaded`, `StorageFull`, and as `check`."""
        url = self.check(picture)
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            raise Overloaded("too many downloads of images at a time; try again") from None
        try:
            async with asyncio.timeout(self._seconds):
                return await self._downloaded(url)
        except AddressRefused:
            raise _failed(
                "its host has no address that may be called: none at all, or one that is not public"
            ) from None
        except (TimeoutError, httpcore2.TimeoutException):
            raise _failed(f"it did not come within {self._seconds:g} s") from None
        except httpcore2.ConnectError:
            raise _failed("there is no connection to its host") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError):
            raise _failed("its host's answer was cut off or is no HTTP") from None
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _downloaded(self, url: SplitResult) -> Upload:
        headers: dict[bytes | str, bytes | str] = {
            "host": url.netloc,
            "accept": "image/png, image/jpeg, image/webp",
            "accept-encoding": "identity",
            "user-agent": self._agent,
            "connection": "close",
        }
        waits = dict.fromkeys(("connect", "read", "write", "pool"), WAIT_SECONDS)
        async with self._pool.stream("GET", url.geturl(), headers=headers, extensions={"timeout": waits}) as response:
            if response.status != 200:
                redirected = ": redirects are not followed" if 300 <= response.status < 400 else ""
                raise _failed(f"its host answered {response.status}{redirected}")
            with storage_errors("image"):
                return await self._kept(response)

    async def _kept(self, response: httpcore2.Response) -> Upload:
        file, digest, read = cast(IO[bytes], tempfile.TemporaryFile()), hashlib.sha256(), 0  # noqa: SIM115
        try:
            async for part in response.aiter_stream():
                read += len(part)
                if read > self._most_bytes:
                    raise _failed(f"it has more than the {self._most_bytes} bytes allowed")
                digest.update(part)
                file.write(part)
        except BaseException:
            file.close()
            raise
        return Upload(file, digest.hexdigest())


def _is_listed(url: SplitResult, hosts: Iterable[str]) -> bool:
    name, own = (url.hostname or "").removesuffix("."), _PORTS[url.scheme]
    port = "" if (url.port or own) == own else f":{url.port}"
    above = [f"*.{name.split('.', n)[n]}" for n in range(1, name.count(".") + 1)]
    return not {f"{each}{port}" for each in (name, *above)}.isdisjoint(hosts)


def _failed(why: str) -> InvalidRequest:
    return InvalidRequest(FIELD, f"{FIELD}: the image could not be downloaded: {why}")
