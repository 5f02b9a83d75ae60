"""python -m service: serve until SIGTERM or Ctrl-C; `status`, `health`, `keys` and `webhooks` are beside it."""

import resource
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Annotated

import structlog
import typer
import uvicorn
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from service import keys_command, logs, status
from service.app import create_app
from service.protocol import CONNECTIONS, Protocol
from service.served import known_models
from service.settings import Settings
from service.webhooks_command import webhooks
from workers.configuration import run_program
from workers.jobs.connection import Connection
from workers.jobs.errors import QueueUnavailable
from workers.jobs.presence import Presence
from workers.process.health import reachable

GRACE_SECONDS = 30
#: Connections that wait to be accepted. asyncio tries, and fails, as often at a time when there are no files left.
BACKLOG = 512
MOST_FILES = 16_384
#: Logs, Redis, uploads and decoders; what is left is for connections.
OTHER_FILES = 200
FILES_A_CONNECTION = 3
WATCH_SECONDS = 1.0
HEALTH_SECONDS = 3.0

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
cli.add_typer(keys_command.cli, name="keys")
cli.add_typer(webhooks, name="webhooks")


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings in force, secrets masked, and exit.")
    ] = False,
) -> None:
    """Serve videos and images over HTTP until SIGTERM. SCALINGCACHE_ variables set it up, see docs/configuration.md."""
    context.obj = settings = Settings()
    if print_config:
        typer.echo(settings.shown())
        typer.echo(settings.read_catalogue().shown())
    elif context.invoked_subcommand is None:
        _listen(settings)


@cli.command("status")
def show_status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show workers, queues, running jobs with their progress, and the last failures."""
    settings: Settings = context.obj
    models = list(settings.read_catalogue().entries)
    connection = Connection(settings.redis_address)

    def read() -> status.SystemStatus:
        return status.read(connection, known_models(Presence(connection), models))

    try:
        if as_json:
            typer.echo(read().model_dump_json(indent=2))
        elif watch:
            _watch(read)
        else:
            Console(markup=False, emoji=False).print(status.render(read()))
    finally:
        connection.close()


@cli.command()
def health(context: typer.Context) -> None:
    """Exit with 0 if this host's service answers, else with 1. For container health checks."""
    settings: Settings = context.obj
    try:
        with urllib.request.urlopen(
            f"http://{reachable(settings.host)}:{settings.port}/healthz", timeout=HEALTH_SECONDS
        ):
            typer.echo("ok")
    except (urllib.error.URLError, TimeoutError) as error:
        typer.echo(f"the service does not answer: {error}", err=True)
        raise typer.Exit(1) from error


def _listen(settings: Settings) -> None:
    app = create_app(settings)
    logs.configure(settings.log_format)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        http=Protocol,
        ws="none",
        backlog=BACKLOG,
    )
    Protocol.most_connections = _connections()
    listener = config.bind_socket()
    # asyncio leaves this out for sockets that it did not open, and then each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.listen(config.backlog)  # From here on a client is served, if after a moment.
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    structlog.get_logger("service").info("listening", address=f"http://{host}:{port}")
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Waits at its end for answers that come to theirs; streams do not by themselves."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once the server is to end."""
        self.config.app.state.resources.broadcast.end()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def _connections() -> int:
    """How many there may be at a time, by how many files may be open, of which this process takes all it can get."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return min(CONNECTIONS, (files - OTHER_FILES) // FILES_A_CONNECTION)


def _watch(read: Callable[[], status.SystemStatus]) -> None:
    def now() -> RenderableType:
        try:
            return status.render(read())
        except QueueUnavailable as error:
            return Text(str(error), style="bold red")

    with Live(now(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(now(), refresh=True)
        except KeyboardInterrupt:
            return


def main() -> None:
    """Run the command line."""
    run_program("service", cli)


if __name__ == "__main__":
    main()
