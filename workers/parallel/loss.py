"""What ends a group, and how whoever watches over rank 0 learns of it: by the code that its process exits with."""

from enum import IntEnum


class Loss(IntEnum):
    """Why a group cannot go on. The values are exit codes of no other meaning."""

    ENDED = 81
    SILENT = 82
    HELD_UP = 83
    STORE = 84

    @property
    def shown(self) -> str:
        """For people who know of no ranks."""
        return {
            Loss.ENDED: "one ended",
            Loss.SILENT: "one was not heard of any more",
            Loss.HELD_UP: "one did not go on",
            Loss.STORE: "the first was not reached any more",
        }[self]

    @property
    def cause(self) -> str:
        """In a word, for metrics."""
        return self.name.lower()


#: Causes of which no exit code tells: rank 0 was killed, and ranks that were not at the same place.
KILLED, PARTED = "killed", "parted"
CAUSES = (*(loss.cause for loss in Loss), KILLED, PARTED)


def cause_of(exit_code: int | None) -> str:
    """Why a group has ended whose rank 0 ended with this code."""
    return Loss(exit_code).cause if exit_code in list(Loss) else KILLED
