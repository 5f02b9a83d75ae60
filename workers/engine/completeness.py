"""A checkpoint that lacks weights is not served: the libraries fill the gaps with noise and only warn."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from workers.jobs.errors import ModelLoadFailed

#: So many of the weights that are missing are named.
NAMED = 3
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: A row of the report that transformers writes of each part.
_MISSING = re.compile(r"^(\S+)\s*\|\s*MISSING\b", re.M)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += _COLOUR.sub("", record.getMessage()) + "\n"


@contextmanager
def whole_checkpoint() -> Iterator[None]:
    """Around the loading of a pipeline. Raises `ModelLoadFailed`, which names the first weights that are missing.

    transformers tells of them in its log alone, which is collected here instead of written. diffusers fails by itself.
    """
    logger, collector = logging.getLogger("transformers"), _Collector()
    handlers, level = logger.handlers, logger.level
    logger.handlers = [collector]
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
    if missing := _MISSING.findall(collector.text):
        more = ", ..." if len(missing) > NAMED else ""
        raise ModelLoadFailed(f"the checkpoint lacks {len(missing)} weights: {', '.join(missing[:NAMED])}{more}")
