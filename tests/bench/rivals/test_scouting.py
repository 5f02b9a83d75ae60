"""Which settings are swept, by what they were found to cost."""

import pytest

from bench.rivals.rival import SPEEDUPS, Knob
from bench.rivals.scouting import bracket, chosen, nearest, scouted

COSTS: dict[Knob, float] = {0.1: 0.95, 0.2: 0.7, 0.4: 0.45, 0.8: 0.3, 1.6: 0.28, 3.2: 0.2}


@pytest.mark.parametrize(
    ("wanted", "settings"),
    [
        (0.5, [0.2, 0.4]),
        (0.4, [0.4, 0.8]),
        (0.301, [0.8]),
        (0.25, [1.6, 3.2]),
        (1 / 6, []),
        (0.97, []),
    ],
    ids=["between", "below", "close enough", "between near ones", "cheaper than all", "dearer than all"],
)
def test_a_cost_is_bracketed_by_the_settings_around_it(wanted: float, settings: list[Knob]) -> None:
    assert bracket(COSTS, wanted) == settings


def test_settings_that_no_speedup_lies_between_are_left_out() -> None:
    assert chosen(COSTS) == [0.2, 0.4, 0.8, 1.6, 3.2]


def test_where_neighbours_lie_far_apart_the_middle_is_tried_too() -> None:
    tried: list[Knob] = []

    def cost(setting: Knob) -> float:
        tried.append(setting)
        return 1 / (1 + float(setting))

    costs = scouted(cost, [0.25, 1.0, 16.0])
    assert costs == {setting: 1 / (1 + float(setting)) for setting in tried}
    assert tried[:4] == [0.25, 1.0, 16.0, 0.5]
    assert 4.0 in tried
    assert len(tried) <= 3 + 2 * len(SPEEDUPS)


def test_settings_that_are_no_numbers_or_whole_ones_have_no_middle() -> None:
    assert scouted({"a": 0.9, "b": 0.1}.__getitem__, ["a", "b"]) == {"a": 0.9, "b": 0.1}
    assert scouted({2: 0.9, 30: 0.1}.__getitem__, [2, 30]) == {2: 0.9, 30: 0.1}


def test_the_nearest_settings_are_named_once() -> None:
    assert nearest(COSTS, (2.0, 2.5, 3.0)) == [0.4, 0.8]
