"""Logs as JSON lines on standard output, one for each change of state. They name jobs, never prompts."""

import logging
import traceback
from pathlib import PurePath

import structlog


def configure(level: int = logging.INFO) -> None:
    """Set up structlog for the whole process; lines of libraries go to standard error as they are."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )


def frames_of(error: BaseException) -> list[str]:
    """Where an error came from, and the errors behind it, without their texts: libraries quote what they were given."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        found.append(type(cause).__qualname__)
        for frame in traceback.extract_tb(cause.__traceback__):
            found.append(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}")
        cause = cause.__cause__
    return found
