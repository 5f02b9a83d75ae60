"""python -m service keys: the operator makes, lists, rotates and revokes API keys."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.accounts import Accounts, ApiKey, Scope
from service.pepper import read_pepper
from service.settings import Settings
from workers.jobs.connection import Connection

DAY_SECONDS = 86_400
MOST_GRACE_SECONDS = 366 * DAY_SECONDS
USUAL = (Scope.GENERATE, Scope.READ)

cli = typer.Typer(help="API keys: make, list, rotate, revoke.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")]


@cli.command()
def create(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Whose key it is: what it makes belongs to this account.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What it may do, by default generate and read; may be given several times."),
    ] = None,
) -> None:
    """Make a key and print it, which nothing can do again. An account has two live ones at most."""
    with _accounts(context) as accounts:
        _print_once(accounts.create(account, scope or USUAL))


@cli.command("list")
def list_keys(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show the live keys: id, account, scopes, age, last use. Never the keys themselves."""
    with _accounts(context) as accounts:
        keys = accounts.live()
    if as_json:
        typer.echo(json.dumps([asdict(key) | {"scopes": sorted(key.scopes)} for key in keys], indent=2))
    else:
        Console().print(_table(keys))


@cli.command()
def rotate(
    context: typer.Context,
    key_id: KeyId,
    grace: Annotated[
        int, typer.Option(min=0, max=MOST_GRACE_SECONDS, help="Seconds that the old key goes on; 0 ends it now.")
    ] = DAY_SECONDS,
) -> None:
    """Make a key with the account and scopes of another one, which goes on for a day and then ends."""
    with _accounts(context) as accounts:
        _print_once(accounts.rotate(key_id, grace))
    typer.echo(f"{key_id} ends {f'in {grace} s' if grace else 'now'}", err=True)


@cli.command()
def revoke(context: typer.Context, key_id: KeyId) -> None:
    """End a key, in every process of the service within seconds."""
    with _accounts(context) as accounts:
        accounts.revoke(key_id)
    typer.echo(f"{key_id} is revoked", err=True)


@contextmanager
def _accounts(context: typer.Context) -> Iterator[Accounts]:
    settings: Settings = context.obj
    connection = Connection(settings.redis_address)
    try:
        yield Accounts(connection, read_pepper(settings.pepper_file))
    finally:
        connection.close()


def _print_once(key: str) -> None:
    """The key alone on standard output, for scripts."""
    typer.echo(key)
    typer.echo("keep it: it is shown this once", err=True)


def _table(keys: list[ApiKey]) -> Table:
    table = Table("id", "account", "scopes", "created", "last used", "ends", box=box.SIMPLE_HEAD, pad_edge=False)
    for key in keys:
        scopes = " ".join(sorted(key.scopes))
        used = "never" if key.last_used_at is None else _ago(key.last_used_at)
        cells = (key.id, key.account, scopes, _when(key.created_at), used, _when(key.expires_at))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _when(seconds: int | None) -> str:
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _ago(seconds: int) -> str:
    minutes = max(0, int(time.time() - seconds)) // 60
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
