"""What ends a group, and how whoever watches over rank 0 learns of it: by the code that its process exits with."""

from enum import IntEnum


class Loss(IntEnum):
    """Why a group cannot go on. The values are exit codes of no other meaning."""

    ENDED = 81
    SILENT = 82
    HELD_UP = 83
    STORE = 84
    PARTED = 85

    @property
    def shown(self) -> str:
        """For people who know of no ranks."""
        return {
            Loss.ENDED: "one ended",
            Loss.SILENT: "one was not heard of any more",
            Loss.HELD_UP: "one did not go on",
            Loss.STORE: "the first was not reached any more",
            Loss.PARTED: "one was not where the others were",
        }[self]

    @property
    def cause(self) -> str:
        """In a word, for metrics."""
        return self.name.lower()


#: The cause of which no exit code tells: rank 0 was killed.
KILLED = "killed"
CAUSES = (*(loss.cause for loss in Loss), KILLED)


def cause_of(exit_code: int | None) -> str | None:
    """Why a group has ended whose rank 0 ended with this code; None where that was no failure of a group."""
    if exit_code in list(Loss):
        return Loss(exit_code).cause
    return KILLED if exit_code is not None and exit_code < 0 else None
