"""A Redis that takes connections and never answers."""

import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.waiting import wait_until
from workers.jobs import keys, scripts
from workers.jobs.connection import Connection
from workers.jobs.errors import QueueUnavailable


@pytest.fixture
def mute() -> Iterator[tuple[str, list[socket.socket]]]:
    """The address of a server that only accepts, and the connections that it accepted."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0", accepted
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in accepted:
        connection.close()


def test_a_redis_that_does_not_answer_is_asked_once(mute: tuple[str, list[socket.socket]]) -> None:
    url, accepted = mute
    connection = Connection(url, command_seconds=0.2)
    with pytest.raises(QueueUnavailable):
        connection.run(scripts.Workers(keys.WORKER_BEATS, keys.WORKER_INFOS))
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as last:
        # Accepted behind all that came before it.
        wait_until(lambda: bool(accepted) and accepted[-1].getpeername() == last.getsockname())
        assert len(accepted) == 2
    connection.close()
