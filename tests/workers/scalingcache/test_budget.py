"""How many steps an sf leaves to be computed in full."""

import pytest

from workers.scalingcache.budget import full_steps, full_steps_of_speedup, opening, reaches, sf_of, worthwhile


@pytest.mark.parametrize(
    ("sf", "steps", "count"),
    [
        *((2, 50, 4), (4, 50, 8), (6, 50, 11), (10, 50, 18), (12, 50, 21), (14, 50, 24), (25, 50, 38), (49, 50, 50)),
        *((50, 50, 50), (80, 50, 50), (5, 25, 9), (20, 100, 36), (2, 4, 3), (2, 2, 2), (2, 8, 4)),
    ],
)
def test_the_speed_of_an_sf(sf: int, steps: int, count: int) -> None:
    assert full_steps(sf, steps) == count


@pytest.mark.parametrize("steps", [4, 12, 25, 50, 100])
def test_a_larger_sf_never_computes_fewer_steps(steps: int) -> None:
    counts = [full_steps(sf, steps) for sf in range(2, steps + 1)]

    assert counts == sorted(counts)
    assert counts[-1] == steps


@pytest.mark.parametrize(
    ("speedup", "count"), [(1.0, 50), (2.0, 25), (2.5, 20), (2.6, 19), (3.0, 16), (50.0, 2), (1000.0, 2)]
)
def test_a_wanted_speedup_is_reached(speedup: float, count: int) -> None:
    assert full_steps_of_speedup(speedup, 50) == count


@pytest.mark.parametrize("steps", range(2, 101))
def test_every_speedup_that_a_number_of_full_steps_has_can_be_asked_for(steps: int) -> None:
    for count in range(2, steps + 1):
        for speedup in (steps / count, float(f"{steps / count:.12g}")):
            assert full_steps_of_speedup(speedup, steps) == count and reaches(speedup, count, steps)


def test_a_speedup_beyond_what_two_full_steps_have_is_not_reached() -> None:
    assert reaches(25.0, full_steps_of_speedup(25.0, 50), 50)
    assert not reaches(25.1, full_steps_of_speedup(25.1, 50), 50)


def test_an_sf_is_named_whose_full_steps_a_count_covers() -> None:
    assert sf_of(18, 50) == 10
    assert sf_of(19, 50) == 10
    assert sf_of(3, 50) == 2
    assert sf_of(50, 50) == 50


@pytest.mark.parametrize(("count", "steps", "gain"), [(18, 50, True), (43, 50, True), (44, 50, False), (4, 4, False)])
def test_a_run_that_gains_next_to_nothing_is_not_worth_it(count: int, steps: int, gain: bool) -> None:
    assert worthwhile(count, steps) is gain


@pytest.mark.parametrize("runs", [4, 50])
def test_the_opening_is_a_quarter_of_the_full_steps_where_several_runs_were_measured(runs: int) -> None:
    assert [opening(count, 50, runs) for count in (2, 4, 8, 11, 18, 29)] == [2, 2, 2, 2, 4, 7]


@pytest.mark.parametrize("runs", [0, 3])
def test_the_opening_is_a_third_of_the_full_steps_where_few_or_none_were(runs: int) -> None:
    assert [opening(count, 50, runs) for count in (2, 4, 8, 11, 18, 29)] == [2, 2, 2, 3, 6, 9]


@pytest.mark.parametrize("runs", [0, 4])
def test_the_opening_is_larger_where_most_steps_are_computed(runs: int) -> None:
    assert [opening(count, 50, runs) for count in (30, 34, 40)] == [12, 13, 16]
    assert [opening(10, 15, runs), opening(3, 5, runs)] == [4, 2]
