"""How the previews of a model are coloured, as its workers have learnt it: the last word of any of them."""

from typing import cast

from workers.jobs import keys
from workers.jobs.connection import Connection
from workers.jobs.observations import KEPT_SECONDS


class Colours:
    """Texts that mean something to workers alone: `workers.engine.latent_colours.ColourFit` as JSON."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, model: str, fingerprint: str) -> str | None:
        """What is known of a model with such weights. Raises `QueueUnavailable`."""
        key = keys.colours(model, fingerprint)
        with self._connection.asking():
            text = cast(str | None, self._connection.commands.get(key))
            self._connection.commands.expire(key, KEPT_SECONDS)
        return text

    def keep(self, model: str, fingerprint: str, text: str) -> None:
        """In place of what was known. Raises `QueueUnavailable`."""
        with self._connection.asking():
            self._connection.commands.set(keys.colours(model, fingerprint), text, ex=KEPT_SECONDS)
