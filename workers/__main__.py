"""`python -m workers`: from a checkpoint to a served model: run a worker, and all that needs no queue."""

import os
from typing import Annotated

import typer

from workers.commands.add import add
from workers.commands.calibrate import calibrate
from workers.commands.check import check
from workers.commands.console import interruptible_command
from workers.commands.doctor import doctor
from workers.commands.evaluate import evaluate
from workers.commands.fetch import fetch
from workers.commands.generate import generate
from workers.configuration import run_program

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

for command in (doctor, add, fetch, check, generate, calibrate, evaluate):
    app.command()(interruptible_command(command))


@app.command()
def run(
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings in force, secrets masked, and exit.")
    ] = False,
) -> None:
    """Serve jobs from the queue until SIGTERM. SCALINGCACHE_ variables set it up, see docs/configuration.md."""
    from workers import logs
    from workers.process.settings import Settings
    from workers.process.shutdown import Shutdown
    from workers.process.supervisor import Supervisor

    settings = Settings()
    if print_config:
        typer.echo(settings.shown())
        typer.echo(settings.read_catalogue().shown())
        return
    if "TORCHELASTIC_RUN_ID" in os.environ:  # Elsewhere torch is not imported for this.
        from workers.engine.follower import follow_torchrun

        follow_torchrun(settings.log_format)
    logs.configure(settings.log_format)
    shutdown = Shutdown()
    shutdown.install()
    Supervisor(settings, settings.read_catalogue(), shutdown).run()


@app.command()
def health() -> None:
    """Exit with 0 if this host's worker has loaded its models, else with 1. For container health checks."""
    from workers.process.health import WorkerUnhealthy, check
    from workers.process.settings import Settings

    settings = Settings()
    try:
        typer.echo(check(settings.metrics_host, settings.metrics_port))
    except WorkerUnhealthy as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error


def main() -> None:
    """Run the command line."""
    run_program("workers", app)


if __name__ == "__main__":
    main()
