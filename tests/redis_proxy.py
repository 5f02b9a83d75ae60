"""A bad line to Redis: a TCP proxy that can cut a connection after a command arrived and before its reply gets back."""

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class RedisProxy:
    """Forwards everything, except the replies that `lose_replies` asked it to lose."""

    def __init__(self, server: Path) -> None:
        """server: the Unix socket of the Redis behind it."""
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._losses: list[bytes] = []
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.lost = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_reply(self, containing: bytes) -> None:
        """Let the next command that contains these bytes through, but cut the connection instead of its reply."""
        self._losses.append(containing)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for side in self._open:
            _hang_up(side)
        for thread in self._threads:
            thread.join(timeout=5)

    def _start(self, target, *arguments) -> None:  # type: ignore[no-untyped-def]
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            self._open += [client, server]
            cut = threading.Event()
            self._start(self._requests, client, server, cut)
            self._start(self._replies, client, server, cut)

    def _requests(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        while data := _receive(client):
            with self._lock:
                if self._losses and self._losses[0] in data:
                    self._losses.pop(0)
                    cut.set()
            server.sendall(data)
        _hang_up(server)

    def _replies(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        while data := _receive(server):
            if cut.is_set():  # The command has taken effect: this is its reply.
                self.lost += 1
                break
            client.sendall(data)
        _hang_up(client)
        _hang_up(server)


def _receive(side: socket.socket) -> bytes:
    try:
        return side.recv(65536)
    except OSError:
        return b""


def _hang_up(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        side.close()
