"""Who is held up, by where the ranks were seen: each is measured by the others, and by no clock of its own."""

import pytest
import torch

from workers.parallel.loss import CAUSES, Loss, cause_of
from workers.parallel.pace import Pace
from workers.parallel.progress import Progress

PATIENCE = {0: 7.0, 1: 7.0, 2: 7.0}
#: What a rank was seen at: seconds, the rank, its count.
Seen = tuple[float, int, int]


def judged(seen: list[Seen], now: float, patience: dict[int, float] = PATIENCE) -> int | None:
    pace = Pace()
    for at, rank, count in seen:
        pace.note(rank, (0, count), 0, at)
        assert pace.held_up(patience, at) is None
    return pace.held_up(patience, now)


@pytest.mark.parametrize(
    ("seen", "now", "rank"),
    [
        ([(0, 0, 5), (0, 1, 5)], 1000, None),
        ([(0, 0, 5), (0, 1, 5), (1, 0, 6)], 8, None),
        ([(0, 0, 5), (0, 1, 5), (1, 0, 6)], 8.1, 1),
        ([(0, 0, 5), (0, 1, 5), (1, 1, 6)], 8.1, 0),
        # The others took a minute for the same, so it may take as long again.
        ([(0, 0, 5), (0, 1, 5), (60, 0, 6)], 119, None),
        ([(0, 0, 5), (0, 1, 5), (60, 0, 6)], 121, 1),
        # It is behind, and goes on.
        ([(0, 0, 5), (0, 1, 5), (1, 0, 60), (7, 1, 6), (13, 1, 7)], 19, None),
        ([(0, 0, 5), (0, 1, 5), (1, 0, 60), (7, 1, 6), (13, 1, 7)], 21, 1),
        # Rank 1 waits for rank 2, as rank 0 does.
        ([(0, 0, 5), (0, 1, 5), (0, 2, 5), (1, 1, 6), (2, 0, 7)], 8.1, 2),
        ([(0, 0, 5)], 1000, None),
    ],
    ids=[
        "all at the same place",
        "not for long enough",
        "waited for",
        "the first one",
        "slow work",
        "slow work, and more than twice as long",
        "behind and working",
        "behind and then held up",
        "the last one alone",
        "alone",
    ],
)
def test_a_rank_is_held_up_when_it_stays_where_the_others_did_not(
    seen: list[Seen], now: float, rank: int | None
) -> None:
    assert judged(seen, now) == rank


def test_a_rank_that_asked_for_patience_gets_it() -> None:
    seen: list[Seen] = [(0, 0, 5), (0, 1, 5), (1, 0, 6)]
    assert judged(seen, 100, {0: 7.0, 1: 120.0}) is None
    assert judged(seen, 122, {0: 7.0, 1: 120.0}) == 1


def test_a_rank_that_works_at_its_place_or_was_not_looked_at_is_not_held_up() -> None:
    pace = Pace()
    for at in range(100):
        pace.note(0, (0, 6), 0, at)
        pace.note(1, (0, 5), at, at)
        assert pace.held_up(PATIENCE, at) is None
    pace.forget()
    assert pace.held_up(PATIENCE, 1000) is None


def test_a_new_command_is_a_new_place_whatever_was_counted_for_the_last_one() -> None:
    pace = Pace()
    pace.note(0, (4, 0), 0, 0)
    pace.note(1, (3, 900), 0, 0)
    assert pace.held_up(PATIENCE, 8) == 1


def test_what_one_rank_does_alone_is_no_delay() -> None:
    progress = Progress()
    progress.begin(3)
    assert progress.place == (3, 0) and progress.signs == progress.signs
    with progress.aside():
        assert progress.signs < progress.signs
    progress.layer()
    assert progress.place == (3, 1) and progress.signs == progress.signs
    progress.begin(4)
    assert progress.place == (4, 0)


def test_a_gpu_that_has_failed_leaves_those_who_watch_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def record(self) -> None: ...

        def query(self) -> bool:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "Event", Broken)
    progress = Progress(torch.device("cuda", 0))
    progress.layer()
    before = progress.signs
    with progress.aside():
        assert progress.signs == before + 1


def test_an_exit_code_says_what_ended_a_group() -> None:
    assert [cause_of(loss) for loss in Loss] == ["ended", "silent", "held_up", "store", "parted"]
    assert cause_of(-9) == "killed" and "killed" in CAUSES
    assert {cause_of(code) for code in (None, 0, 1)} == {None}, "no failure of a group"
