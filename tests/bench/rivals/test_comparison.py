"""Interpolation and paired differences on made-up rows."""

from math import sqrt

import pytest

from bench.rivals.comparison import at, by_prompt, curve, difference, mean, worst
from bench.rivals.records import Row
from tests.bench.rivals.made_up import a_row


def psnr(row: Row) -> float:
    return row.fidelity.psnr


ROWS = [
    a_row("x", 3.0, 0.2, 40.0, "a"), a_row("x", 3.0, 0.3, 44.0, "b"),
    a_row("x", 1.0, 0.9, 60.0, "a"), a_row("x", 1.0, 1.1, 70.0, "b"),
]  # fmt: skip


def test_a_setting_costs_what_its_cases_cost_on_average() -> None:
    assert [point.cost for point in curve(ROWS, psnr)] == pytest.approx([1.0, 0.25])


def test_between_two_settings_each_case_lies_on_a_line_over_log_cost() -> None:
    halfway = at(curve(ROWS, psnr), sqrt(1.0 * 0.25))
    assert halfway == {("a", 0): pytest.approx(50.0), ("b", 0): pytest.approx(57.0)}


@pytest.mark.parametrize("cost", [0.25, 0.252])
def test_a_cost_that_a_setting_has_needs_no_other_one(cost: float) -> None:
    assert at(curve(ROWS[:2], psnr), cost) == {("a", 0): 40.0, ("b", 0): 44.0}


@pytest.mark.parametrize("cost", [0.2, 1.2])
def test_nothing_is_said_beyond_the_settings(cost: float) -> None:
    assert at(curve(ROWS, psnr), cost) is None


def test_no_rows_have_no_value_anywhere() -> None:
    assert at(curve([], psnr), 0.5) is None


def test_a_difference_is_paired_so_what_prompts_differ_in_does_not_widen_it() -> None:
    baseline = {(f"prompt {n}", 0): 10.0 * n for n in range(8)}
    better = {key: value + 3.0 + (0.1 if key[0] == "prompt 0" else 0.0) for key, value in baseline.items()}
    gain = difference(better, baseline)
    assert gain is not None
    assert gain.mean == pytest.approx(3.0125)
    assert 2.99 < gain.low <= gain.mean <= gain.high < 3.06


def test_an_interval_holds_the_mean_s_uncertainty() -> None:
    gains = [1.0, -1.0, 3.0, 5.0, 2.0, 0.0, 4.0, 2.0]
    baseline = {(f"prompt {n}", 0): 30.0 for n in range(8)}
    gain = difference({key: 30.0 + g for key, g in zip(baseline, gains, strict=True)}, baseline)
    assert gain is not None
    # The bootstrap's spread is the standard error: sqrt(3.5 / 8) = 0.66 around 2.
    assert gain.mean == pytest.approx(2.0)
    assert gain.low == pytest.approx(2.0 - 1.96 * 0.66, abs=0.15)
    assert gain.high == pytest.approx(2.0 + 1.96 * 0.66, abs=0.15)


def test_seeds_of_a_prompt_count_as_one_observation() -> None:
    once = {(f"prompt {n}", 0): float(n) for n in range(4)}
    twice = once | {(f"prompt {n}", 1): float(n) for n in range(4)}
    nothing = dict.fromkeys(twice, 0.0)
    assert difference(twice, nothing) == difference(once, nothing)
    assert by_prompt({("a", 0): 1.0, ("a", 1): 3.0}) == {"a": 2.0}


def test_cases_that_one_of_the_two_lacks_are_left_out() -> None:
    gain = difference({("a", 0): 5.0, ("b", 0): 100.0}, {("a", 0): 4.0})
    assert gain is not None and gain.mean == 1.0
    assert difference({("a", 0): 5.0}, {("b", 0): 4.0}) is None


def test_the_mean_is_over_prompts_and_the_worst_over_all_cases() -> None:
    values = {("a", 0): 1.0, ("a", 1): 3.0, ("b", 0): 8.0}
    assert mean(values) == 5.0
    assert worst(values) == 1.0
