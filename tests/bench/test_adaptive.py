"""Leaving out steps: what it does to a schedule, and what it is compared with."""

import pytest

from bench.adaptive import Point, planned_at, without_next


def test_the_next_full_step_is_left_out_but_never_the_last_and_never_for_too_long_a_gap() -> None:
    assert without_next((0, 1, 5, 9, 14), 5) == (0, 1, 5, 14)
    assert without_next((0, 1, 5, 9, 14), 9) == (0, 1, 5, 9, 14)
    assert without_next((0, 1, 9, 19), 1) == (0, 1, 9, 19)


def test_plans_are_read_between_the_nearest_two() -> None:
    plans = [Point(10, 40.0, 30.0), Point(20, 50.0, 44.0)]
    assert planned_at(plans, 15).psnr == pytest.approx(45.0)
    assert planned_at(plans, 15).worst == pytest.approx(37.0)
