"""The worker's commands, run in this process."""

from typer.testing import CliRunner

from workers.__main__ import app


def run(*arguments: str) -> str:
    """What a command that succeeded printed; an error comes out as it was raised."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
