"""Which rank is held up: one that does not go on from where the others have gone on long ago.

Nothing is said of how long anything may take: all ranks do the same, so each is measured by the others. As long as all
are at the same place they work, however long that lasts.
"""

from collections import defaultdict
from collections.abc import Mapping

from workers.parallel.progress import Place


class Pace:
    """Where each rank was seen, and when. Times are seconds of any clock."""

    def __init__(self) -> None:
        self._seen: defaultdict[int, list[tuple[Place, float]]] = defaultdict(list)
        self._signs: dict[int, int] = {}

    def note(self, rank: int, place: Place, signs: int, now: float) -> None:
        """A rank was seen at a place. signs: another number than the last time where it works there."""
        seen = self._seen[rank]
        if not seen or seen[-1][0] != place:
            seen.append((place, now))
        elif signs != self._signs[rank]:
            seen[-1] = place, now
        self._signs[rank] = signs

    def forget(self) -> None:
        """What was seen is old: whoever looked was held up itself."""
        self._seen.clear()

    def held_up(self, patience: Mapping[int, float], now: float) -> int | None:
        """The last rank, where it should have gone on long ago.

        It may stay at a place, after another has left that, for as long as the other was there, and for as many seconds
        as its `patience` at least. Whoever is further may wait for it, and so it is the last one alone that is asked.
        """
        if not self._seen:
            return None
        places = {rank: seen[-1][0] for rank, seen in self._seen.items()}
        last = min(places, key=lambda rank: places[rank])
        left = [self._left(rank, places[last]) for rank, place in places.items() if place > places[last]]
        if not left:
            for seen in self._seen.values():
                del seen[:-1]
            return None
        stayed, since = min(after - before for before, after in left), min(after for _, after in left)
        waited = now - max(since, self._seen[last][-1][1])
        return last if waited > max(patience[last], stayed) else None

    def _left(self, rank: int, place: Place) -> tuple[float, float]:
        """When a rank that has left a place came there, or was seen before it, and when it was seen beyond it."""
        seen = self._seen[rank]
        beyond = next(index for index, (other, _) in enumerate(seen) if other > place)
        del seen[: max(0, beyond - 1)]  # No rank is further back.
        beyond = min(beyond, 1)
        return seen[max(0, beyond - 1)][1], seen[beyond][1]
