"""Previews take their share of the steps' time, whatever they cost and however that changes."""

from collections.abc import Callable
from itertools import count

import pytest

from workers.engine.preview_budget import SHARE, PreviewBudget


def spent(budget: PreviewBudget, steps: int, step_seconds: float, cost: Callable[[], float]) -> list[float]:
    """What the previews of one run cost."""
    costs = list[float]()
    budget.begin()
    for _ in range(steps):
        budget.earn(step_seconds)
        if budget.allows:
            costs.append(cost())
            budget.spend(costs[-1])
    return costs


@pytest.mark.parametrize("cost", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("step_seconds", [0.05, 0.5, 10.0])
def test_over_many_runs_they_take_no_more_than_their_share(cost: float, step_seconds: float) -> None:
    budget = PreviewBudget()
    costs = [each for _ in range(40) for each in spent(budget, 50, step_seconds, lambda: cost)]
    surprise = cost  # the first one, which was taken to cost less
    assert sum(costs) <= SHARE * 40 * 50 * step_seconds + surprise
    affordable = SHARE * 50 * step_seconds / cost
    assert len(costs) >= (40 * int(min(affordable, 50)) / 2 if affordable >= 1 else 0)


def test_each_run_keeps_to_it_once_the_cost_is_known() -> None:
    budget = PreviewBudget()
    for run in range(10):
        costs = spent(budget, 50, 0.2, lambda: 0.01)
        assert run == 0 or 0 < sum(costs) <= SHARE * 50 * 0.2


def test_one_that_takes_far_longer_than_expected_is_paid_off_by_later_runs() -> None:
    budget, costs = PreviewBudget(), count()
    first = spent(budget, 50, 0.2, lambda: 0.2 if next(costs) == 0 else 0.01)
    assert first == [0.2], "a run earns 0.05 s"
    runs = [spent(budget, 50, 0.2, lambda: 0.01) for _ in range(12)]
    assert runs[:3] == [[], [], []] and runs[-1]
    assert 0.2 + sum(sum(costs) for costs in runs) <= SHARE * 13 * 50 * 0.2


def test_what_a_run_has_not_spent_no_later_one_has() -> None:
    budget = PreviewBudget()
    budget.begin()
    budget.earn(10_000)
    assert budget.allows
    budget.begin()
    assert not budget.allows
