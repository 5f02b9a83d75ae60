"""python -m service: serve until SIGTERM or Ctrl-C, then let what has begun come to its end."""

import logging
import socket
import sys

import structlog
import uvicorn

from service import logs
from service.app import create_app
from service.settings import Settings
from workers.models.catalogue import CatalogueError

GRACE_SECONDS = 30


def main() -> int:
    try:
        settings = Settings()
        app = create_app(settings)
    except (ValueError, CatalogueError) as error:
        print(f"service: {error}", file=sys.stderr)  # noqa: T201
        return 2
    logs.configure(logging.INFO)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listener = config.bind_socket()
    # asyncio leaves this out for sockets that it did not open, and then each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.listen(config.backlog)  # From here on a client is served, if after a moment.
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    structlog.get_logger("service").info("listening", address=f"http://{shown}:{port}")
    uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
