"""Logs on standard output, a line for each event, this service's and its server's alike."""

import logging
import sys
import time
import traceback
from pathlib import PurePath

import structlog
from structlog.typing import EventDict, WrappedLogger

from workers.configuration import LogFormat
from workers.logs import renderer


def without_message(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An exception as its class and frames. Its text is left out: Redis and pydantic quote what they were given."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["exception"] = type(error).__qualname__
        event["frames"] = [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def without_colours(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Uvicorn sends each of its lines a second time, coloured."""
    event.pop("color_message", None)
    return event


class OnceInAWhile(logging.Filter):
    """Lets a message through once in `seconds`: asyncio repeats one for each connection that it cannot accept."""

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds, self._said = seconds, dict[str, float]()

    def filter(self, record: logging.LogRecord) -> bool:
        message, now = record.getMessage().partition("\n")[0], time.monotonic()
        if now - self._said.get(message, -self._seconds) < self._seconds:
            return False
        self._said = {message: now, **{said: at for said, at in self._said.items() if now - at < self._seconds}}
        return True


def configure(log_format: LogFormat = "json", level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's logging for the whole process."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        without_colours,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_message,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer(log_format),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("asyncio").addFilter(OnceInAWhile())
