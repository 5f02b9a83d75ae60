"""Beats over a real store: how long the others wait for the next one is what a rank has told them."""

import queue
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from workers.parallel import pulse
from workers.parallel.loss import Loss
from workers.parallel.progress import Progress
from workers.parallel.pulse import Lost, Pulse
from workers.parallel.seat import Seat


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pulse, "queue.Queue[Lost]"]]:
    """Rank 0's pulse, and what rank 1 finds lost."""
    for name, seconds in (("BEAT_SECONDS", 0.1), ("SILENT_SECONDS", 1.0), ("LOADING_SECONDS", 2.0)):
        monkeypatch.setattr(pulse, name, seconds)
    seat = Seat(rank=0, ranks=2, local_rank=0, host="127.0.0.1", port=0, serves=True)
    served = seat.serve()
    assert served is not None
    seat, lost = replace(seat, port=served.port), queue.Queue[Lost]()
    pulses = [
        Pulse(seat.store(5.0), rank, [1 - rank], Progress(), lambda *what: lost.put(what), lambda: None)
        for rank in (0, 1)
    ]
    with ExitStack() as stopped:
        for each in pulses:
            each.start()
            each.met()
            stopped.callback(each.join)
            stopped.callback(each.stop)
        yield pulses[0], lost


def test_a_rank_that_was_never_heard_of_is_lost(two: tuple[Pulse, "queue.Queue[Lost]"]) -> None:
    first, _ = two
    lost = queue.Queue[Lost]()
    alone = Pulse(first._store, 2, [3], Progress(), lambda *what: lost.put(what), lambda: None)
    alone.start()
    alone.met()
    assert lost.get(timeout=60) == (Loss.SILENT, "rank 3 has not been heard of for 2 seconds")


def test_a_rank_that_falls_silent_is_lost(two: tuple[Pulse, "queue.Queue[Lost]"]) -> None:
    first, lost = two
    with first.patient():  # Begins when it has beaten.
        pass
    first.stop()
    loss, cause = lost.get(timeout=60)
    assert loss is Loss.SILENT and cause.startswith("rank 0 has not been heard of for ")


def test_a_rank_that_reads_a_model_is_waited_for_as_it_has_told(two: tuple[Pulse, "queue.Queue[Lost]"]) -> None:
    first, lost = two
    with first.patient():
        first.stop()  # As where the interpreter is held.
        assert lost.get(timeout=60) == (Loss.SILENT, "rank 0 has not been heard of for 2 seconds")
