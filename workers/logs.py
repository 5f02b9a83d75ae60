"""Logs on standard output, a line for each change of state. They name jobs, never prompts."""

import codecs
import logging
import sys
import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import structlog

from workers.configuration import LogFormat

#: So many characters of one value are logged.
LONGEST = 1000
# Python reads a codec's file when it is first used, and that there are no more files to open is one of the messages.
codecs.lookup("unicode_escape")


def configure(log_format: LogFormat = "json", level: int = logging.INFO) -> None:
    """Set up structlog for the whole process; lines of libraries go to standard error as they are."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer(log_format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


def quiet_libraries() -> None:
    """Leave out what the pipelines' libraries say below an error: they quote the end of a prompt that was too long."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.logging.set_verbosity_error()
        library.logging.disable_progress_bar()


def renderer(log_format: LogFormat) -> structlog.typing.Processor:
    """The last step of a line: JSON for machines; columns, with colours on a terminal, for people."""
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    return _Renderer(log_format, render)


@dataclass(frozen=True)
class _Renderer:
    log_format: LogFormat
    render: structlog.typing.Processor

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> Any:
        return self.render(logger, method, {name: plain(value) for name, value in event.items()})


def format_in_force() -> LogFormat:
    """What `configure` was last called with."""
    last = structlog.get_config()["processors"][-1]
    return last.log_format if isinstance(last, _Renderer) else "json"


def plain(value: object) -> object:
    """A value without what a terminal would obey, such as a path of a client's choice, and cut where it is long."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if not isinstance(value, str):
        return value
    text = value if len(value) <= LONGEST else f"{value[:LONGEST]}... ({len(value)} characters)"
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()


def frames_of(error: BaseException) -> list[str]:
    """Where an error came from, and the errors behind it, without their texts: libraries quote what they were given."""
    frames: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        frames.append(type(cause).__qualname__)
        for frame in traceback.extract_tb(cause.__traceback__):
            frames.append(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}")
        cause = cause.__cause__
    return frames
