"""How long the finished jobs of single accounts are kept, as an operator writes it."""

from collections.abc import Iterable

from workers.configuration import MOST_SECONDS
from workers.jobs.removal import TENANT


def retention_of(given: Iterable[str]) -> dict[str, float]:
    """Seconds by account, from texts such as `ads=3600`. Raises `ValueError` for the first that is wrong."""
    kept: dict[str, float] = {}
    for text in given:
        account, equals, seconds = (part.strip() for part in text.partition("="))
        if not equals or not TENANT.fullmatch(account):
            raise ValueError(f"{text!r} must be the name of an account and seconds, such as ads=3600")
        if account in kept:
            raise ValueError(f"account {account!r} is there twice")
        kept[account] = _seconds(text, seconds)
    return kept


def _seconds(text: str, seconds: str) -> float:
    try:
        number = float(seconds)
    except ValueError:
        number = 0.0
    if not 0 < number <= MOST_SECONDS:
        raise ValueError(f"{text!r}: {seconds!r} must be seconds, more than 0 and at most {MOST_SECONDS:.0f}")
    return number
