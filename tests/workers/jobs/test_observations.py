"""What workers saw of a model, for all of them."""

import pytest

from tests.queues import Queue
from workers.jobs import observations
from workers.jobs.observations import Observations


@pytest.fixture
def known(queue: Queue) -> Observations:
    return Observations(queue.connection)


def test_two_workers_add_to_one_list_and_none_overwrites(queue: Queue, known: Observations) -> None:
    other = Observations(queue.connection)
    known.add("m", "weights", "first")
    other.add("m", "weights", "second")
    known.add("m", "weights", "third")
    assert known.since("m", "weights", 0) == other.since("m", "weights", 0) == ["first", "second", "third"]
    assert other.since("m", "weights", 2) == ["third"]
    assert other.since("m", "weights", 3) == []


def test_other_weights_and_other_models_have_a_list_of_their_own(known: Observations) -> None:
    known.add("m", "weights", "first")
    assert known.since("m", "others", 0) == known.since("n", "weights", 0) == []


def test_a_full_list_keeps_what_it_has(known: Observations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "MOST", 2)
    assert [known.add("m", "weights", text) for text in "abc"] == [True, True, False]
    assert known.since("m", "weights", 0) == ["a", "b"]
