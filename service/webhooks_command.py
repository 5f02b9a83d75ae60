"""`python -m service webhooks`: tell receivers that jobs have ended; `webhooks health` asks how that goes."""

import asyncio
import signal
import urllib.error
import urllib.request
from contextlib import ExitStack
from functools import partial

import structlog
import typer
from prometheus_client.parser import text_string_to_metric_families

from service import logs
from service.addresses import Resolver
from service.served import known_models
from service.settings import Settings
from service.webhook_metrics import WebhookMetrics
from service.webhook_post import Receivers
from service.webhook_secrets import WebhookSecrets
from service.webhook_sender import Sender
from workers.configuration import ConfigurationError, variable
from workers.jobs.connection import Connection
from workers.jobs.deliveries import Most, Outbox
from workers.jobs.presence import Presence
from workers.process.health import reachable

#: A sender that has not looked for messages for so long cannot work: Redis is away, or it hangs.
HEALTHY_SECONDS = 60.0
TIMEOUT_SECONDS = 3.0

webhooks = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@webhooks.callback(invoke_without_command=True)
def send(context: typer.Context) -> None:
    """Tell clients' receivers which jobs have ended, until SIGTERM. As many of these may run as you like."""
    settings: Settings = context.obj
    if context.invoked_subcommand is None:
        root = settings.webhook_root
        if root is None:
            raise ConfigurationError(f"{variable('webhook_secret')} is not set: nothing could be signed")
        logs.configure(settings.log_format)
        asyncio.run(_send(settings, root))


@webhooks.command()
def health(context: typer.Context) -> None:
    """Exit with 0 if this host's sender does its work, else with 1. For container health checks."""
    settings: Settings = context.obj
    if not settings.webhook_metrics_port:
        raise ConfigurationError(f"a health check needs {variable('webhook_metrics_port')}")
    address = f"http://{reachable(settings.webhook_metrics_host)}:{settings.webhook_metrics_port}/metrics"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
            families = text_string_to_metric_families(answer.read().decode())
    except (urllib.error.URLError, TimeoutError) as error:
        typer.echo(f"the sender does not answer: {error}", err=True)
        raise typer.Exit(1) from error
    name = "scalingcache_webhook_round_age_seconds"
    age = next(sample.value for family in families for sample in family.samples if sample.name == name)
    if age > HEALTHY_SECONDS:
        typer.echo(f"the sender last looked for messages {age:.0f} s ago", err=True)
        raise typer.Exit(1)
    typer.echo("ok")


async def _send(settings: Settings, root: bytes) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    connection, metrics, most = Connection(settings.redis_address), WebhookMetrics(), Most()
    resolver = Resolver(most.in_all)
    models = partial(known_models, Presence(connection), list(settings.read_catalogue().entries))
    log = structlog.get_logger("webhooks")
    with ExitStack() as stack:
        stack.callback(connection.close)
        stack.callback(resolver.close)
        port = None
        if settings.webhook_metrics_port is not None:
            port = stack.enter_context(metrics.served(settings.webhook_metrics_host, settings.webhook_metrics_port))
        async with Receivers(settings.webhook_allowed, resolver, most=most.in_all) as receivers:
            sender = Sender(Outbox(connection, most=most), WebhookSecrets(connection, root), receivers, models, metrics)
            log.info("sending", metrics_port=port)
            await sender.run(stopping)
    log.info("ended")
