"""What an operator wants to know at the start rather than from the first client."""

import structlog

from service.dependencies import Resources
from workers.jobs.errors import QueueUnavailable


def say_problems(resources: Resources) -> None:
    """Log what keeps the service from answering as it should; nothing of it ends the service, for all of it heals."""
    log = structlog.get_logger("service")
    try:
        resources.probe_connection.ping()
        if resources.accounts is None:
            return
        if not resources.accounts.has_this_pepper():
            log.error("no API key is valid", cause="those in Redis were made with another pepper")
        elif not resources.accounts.live():
            log.warning("no API key yet", cure="python -m service keys create ACCOUNT")
    except QueueUnavailable as error:
        log.error("Redis cannot be reached or accepts no writes: calls are answered 503", cause=str(error))
