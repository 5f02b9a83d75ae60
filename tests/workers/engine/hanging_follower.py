"""A rank that lives, beats, and in its second run does not come to the end of a step.

`python -m tests.workers.engine.hanging_follower` is such a follower, in a group that is as impatient as it.
"""

import threading
from collections.abc import Sequence
from itertools import count
from unittest.mock import patch

from workers.engine import follower
from workers.parallel import pulse
from workers.parallel.world import World

SECONDS = 2.0
#: Agreements of a run of four steps and half of the next one: its stages are three.
AGREEMENTS = 9


def main() -> None:
    agree, calls = World.agree, count()

    def agree_or_hang(world: World, go: bool, state: Sequence[int]) -> bool:
        if next(calls) == AGREEMENTS:
            threading.Event().wait()
        return agree(world, go, state)

    with patch.object(World, "agree", agree_or_hang), patch.object(pulse, "SILENT_SECONDS", SECONDS):
        follower.main()


if __name__ == "__main__":
    main()
