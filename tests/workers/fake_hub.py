"""A server that speaks as much of the hub's API as its library asks for, and that fails as a hub and a network do."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40
#: Files of at least this size are large ones, which are named by their SHA-256.
LARGE = 1000


@dataclass
class Hub:
    """One repository, at one commit. The rest says how it fails.

    cuts: of a path how often its connection ends: half way, or at once where half was sent before.
    contents: what is sent in place of a file. sizes: what is claimed of one.
    refusal: status and the hub's code for every call. served: the paths that were sent, with where each began.
    """

    name: str
    files: Mapping[str, bytes]
    cuts: dict[str, int] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    served: list[tuple[str, int]] = field(default_factory=list)
    url: str = ""

    @classmethod
    def of_folder(cls, name: str, folder: Path, more: Mapping[str, bytes] = MappingProxyType({})) -> "Hub":
        """A repository with the files of a folder, and more."""
        files = {
            str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
        }
        return cls(name, {**files, **more})

    def tag(self, path: str) -> str:
        """What a file is named by."""
        content = self.files[path]
        if len(content) >= LARGE:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def sibling(self, path: str) -> dict[str, object]:
        """A file as the API lists it."""
        size = self.sizes.get(path, len(self.files[path]))
        listed: dict[str, object] = {"rfilename": path, "size": size, "blobId": "b" * 40}
        if len(self.files[path]) >= LARGE:
            return listed | {"lfs": {"sha256": self.tag(path), "size": size, "pointerSize": 130}}
        return listed | {"blobId": self.tag(path)}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if self.hub.refusal is not None:
            self._refuse(*self.hub.refusal)
        elif parts[:2] == ["api", "models"]:
            self._repository("/".join(parts[2:4]), parts[5:])
        elif (path := "/".join(parts[4:])) in self.hub.files:
            self._file(path)
        else:
            self._refuse(404, "EntryNotFound")

    def _repository(self, name: str, revision: list[str]) -> None:
        siblings = [self.hub.sibling(path) for path in self.hub.files]
        if name != self.hub.name:
            self._refuse(401, "RepoNotFound")
        elif revision and revision[0] not in (COMMIT, "main"):
            self._refuse(404, "RevisionNotFound")
        else:
            self._answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode())

    def _file(self, path: str) -> None:
        content = self.hub.contents.get(path, self.hub.files[path])
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{self.hub.tag(path)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.command == "GET":
            self.hub.served.append((path, start))
        cut = self.command == "GET" and self._cuts(path)
        sent = 0 if start else len(content) // 2
        self._answer(206 if start else 200, content[start:], headers, sent if cut else None)

    def _cuts(self, path: str) -> bool:
        left = self.hub.cuts.get(path, 0)
        self.hub.cuts[path] = max(0, left - 1)
        return left > 0

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _answer(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[:sent])
        if sent is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at an address of its own, `hub.url`, while the block runs."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
