"""The file in which Redis writes down every change. What was deleted stays in it until it is rewritten."""

from workers.jobs import keys
from workers.jobs.connection import Connection

#: Between two rewrites.
REWRITE_SECONDS = 86_400


class AppendOnlyFile:
    """Redis' own file, for what has to be done about it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rewrite_daily(self) -> bool:
        """Let Redis rewrite the file, if nobody has for a day: then the prompts of deleted jobs are gone from it.

        Redis does so by itself only where the file has doubled. Raises `QueueUnavailable`, also where it does not let
        us, such as a managed one.
        """
        with self._connection.asking():
            if self._connection.commands.info("persistence").get("aof_enabled") != 1:
                return False
            if not self._connection.commands.set(keys.REWRITTEN, "", nx=True, ex=REWRITE_SECONDS):
                return False
            self._connection.commands.bgrewriteaof()
        return True
