"""When jobs start and end, by lines and workers that are known."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from service.forecast import Rate, Runs, Seat, Slot, foretell
from workers.jobs.job import Priority
from workers.jobs.order import Line, Waiting

NOW = 1000.0


def a_line(*jobs: str, priority: Priority = Priority.NORMAL, cost: int = 1_000_000) -> Line:
    """Of jobs whose first letter is their tenant."""
    line = Line()
    for job in jobs:
        line.add(job, job[0], cost, priority, NOW)
    return line


def starts(slots: dict[str, Slot]) -> dict[str, float]:
    return {job: slot.starts_at - NOW for job, slot in slots.items()}


TEN = dict.fromkeys(["a1", "a2", "a3", "b1", "b2", "x1", "x2"], 10.0)


@pytest.mark.parametrize(
    ("seats", "expected"),
    [
        ([Seat(NOW, ("m",))], {"a1": 0, "b1": 10, "a2": 20, "a3": 30}),
        ([Seat(NOW, ("m",)), Seat(NOW + 4, ("m",))], {"a1": 0, "b1": 4, "a2": 10, "a3": 14}),
        ([Seat(NOW + 7, ("m",)), Seat(NOW, ("other",))], {"a1": 7, "b1": 17, "a2": 27, "a3": 37}),
        ([], {}),
    ],
)
def test_jobs_start_in_turns_as_workers_get_free(seats: list[Seat], expected: dict[str, float]) -> None:
    assert starts(foretell({"m": a_line("a1", "a2", "a3", "b1")}, TEN, seats, [])) == expected


def test_a_worker_of_two_models_takes_them_in_turns() -> None:
    lines = {"m": a_line("a1", "a2"), "n": a_line("x1", "x2")}
    slots = foretell(lines, TEN, [Seat(NOW, ("m", "n"))], [])
    assert starts(slots) == {"a1": 0, "x1": 10, "a2": 20, "x2": 30}


def test_a_tenant_waits_for_its_running_jobs_where_it_has_as_many_as_it_may() -> None:
    seats = [Seat(NOW, ("m",), 1), Seat(NOW, ("m",), 1)]
    slots = foretell({"m": a_line("a1", "a2", "b1")}, TEN, seats, [Runs(NOW + 3, "m", "a"), Runs(NOW + 99, "n", "b")])
    assert starts(slots) == {"b1": 0, "a1": 3, "a2": 13}


def test_a_tenant_that_never_gets_free_is_not_waited_for() -> None:
    assert foretell({"m": a_line("a1")}, {}, [Seat(NOW, ("m",), 1)], []) == {}


def with_deadline(line: Line, seconds: float) -> Line:
    """Of the first job."""
    jobs = line.lanes["normal"].jobs
    jobs[0] = replace(jobs[0], deadline_at=NOW + seconds)
    return line


@pytest.mark.parametrize("least", [10.0, 9.0])
def test_jobs_that_a_worker_would_not_start_take_none_of_its_time(least: float) -> None:
    line = with_deadline(a_line("a1", "a2"), seconds=7)
    assert starts(foretell({"m": line}, TEN, [Seat(NOW, ("m",), 0, {"a1": least})], [])) == {"a2": 0}
    line = with_deadline(a_line("a1", "a2"), seconds=0)
    assert starts(foretell({"m": line}, TEN, [Seat(NOW, ("m",))], [])) == {"a2": 0}


@pytest.mark.parametrize("least", [{"a1": 10.0}, {}])
def test_jobs_that_a_worker_tries_take_its_time_until_their_deadline(least: dict[str, float]) -> None:
    line = with_deadline(a_line("a1", "a2"), seconds=8)
    assert starts(foretell({"m": line}, TEN, [Seat(NOW, ("m",), 0, least)], [])) == {"a1": 0, "a2": 8}


def test_a_job_is_failed_by_the_first_worker_that_says_it_is_in_vain() -> None:
    slow, fast = Seat(NOW, ("m",), 0, {"a1": 99.0}), Seat(NOW + 1, ("m",), 0, {"a1": 2.0})
    assert starts(foretell({"m": with_deadline(a_line("a1", "a2"), seconds=8)}, TEN, [slow, fast], [])) == {"a2": 0}
    busy = replace(slow, free_at=NOW + 2)
    slots = foretell({"m": with_deadline(a_line("a1", "a2"), seconds=8)}, TEN, [busy, fast], [])
    assert starts(slots) == {"a1": 1, "a2": 2}


class CountedLine(Line):
    looks = 0

    def take(self, now: float, may_start: Callable[[Waiting], bool]) -> Waiting | None:
        self.looks += 1
        return super().take(now, may_start)


@pytest.mark.parametrize(("most", "deadline", "started"), [(1, 9e9, 30), (0, 0, 0)])
def test_many_workers_that_find_nothing_do_not_look_again_each(most: int, deadline: float, started: int) -> None:
    line = CountedLine(a_line(*(f"a{number}" for number in range(30))).lanes)
    jobs = line.lanes["normal"].jobs
    jobs[:] = [replace(job, deadline_at=NOW + deadline) for job in jobs]
    running = [Runs(NOW + number, "m", "b") for number in range(100)]
    slots = foretell({"m": line}, {job.job_id: 10.0 for job in jobs}, [Seat(NOW, ("m",), most)] * 300, running)
    assert [slot.starts_at for slot in slots.values()] == [NOW + 10 * number for number in range(started)]
    assert line.looks <= 60


def test_low_jobs_move_up_when_they_have_waited_for_long() -> None:
    line = a_line("b1", priority=Priority.LOW)
    for number in range(200):
        line.add(f"a{number}", "a", 1_000_000, Priority.HIGH, NOW)
    slots = foretell({"m": line}, {"b1": 10.0, **{f"a{n}": 10.0 for n in range(200)}}, [Seat(NOW, ("m",))], [])
    assert starts(slots)["b1"] == 1200, "600 s in each lane, and then next"


@pytest.mark.parametrize(("place", "start"), [(0, NOW), (1, NOW + 5), (2, NOW + 9), (4, NOW + 17)])
def test_those_behind_follow_at_the_rate_of_those_before(place: int, start: float) -> None:
    assert Rate((NOW, NOW + 5), NOW, 4.0).start(place) == start


def test_with_nobody_before_it_a_job_starts_when_a_worker_is_free() -> None:
    assert Rate((), NOW + 3, 4.0).start(0) == NOW + 3
    assert Rate((), NOW + 3, 4.0).start(1) == NOW + 7
