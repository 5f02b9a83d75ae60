"""The interval controller as exact decisions for given changes."""

import pytest
import torch

from workers.scalingcache.paper.controller import IntervalController, IntervalSettings, mean_full_steps, simulate


def rho(values: list[float]) -> torch.Tensor:
    """`[steps, 1 stream, 1 block]`."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


def ones(steps: int) -> torch.Tensor:
    return torch.ones(steps, 1, dtype=torch.float64)


FREE = {"max_skip": 99, "final_full_steps": 0}


@pytest.mark.parametrize(
    ("changes", "settings", "decisions"),
    [
        pytest.param([0.1] * 8, IntervalSettings(3, **FREE), "FFFPFPFP", id="a constant change skips every other step"),
        pytest.param(
            [0.1] * 10, IntervalSettings(2, kappa=3, **FREE), "FFPPPFPPPF", id="kappa 3 skips while 4 errors are summed"
        ),
        pytest.param(
            [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], IntervalSettings(2, **FREE), "FFPFFF",
            id="a rising change is above its own mean and never skips again",
        ),
        pytest.param(
            [0, 0.8, 0.4, 0.2, 0.1, 0.05, 0.05, 0.05, 0.05], IntervalSettings(3, **FREE), "FFFPFPPPP",
            id="a falling change skips ever longer",
        ),
        pytest.param([0.1] * 6, IntervalSettings(6, **FREE), "FFFFFF", id="sf of all steps is plain inference"),
        pytest.param([0.1] * 4, IntervalSettings(9, **FREE), "FFFF", id="sf above the steps is plain inference"),
        pytest.param(
            [0.1] * 9, IntervalSettings(2, kappa=99, max_skip=3, final_full_steps=0), "FFPPPFPPP",
            id="max_skip ends a run of predictions",
        ),
        pytest.param(
            [0.1] * 9, IntervalSettings(2, kappa=99, max_skip=99, final_full_steps=2), "FFPPPPPFF",
            id="the final steps are computed",
        ),
        pytest.param([0.0] * 6, IntervalSettings(2, **FREE), "FFPPPP", id="no change at all needs no computing"),
    ],
)  # fmt: skip
def test_decisions(changes: list[float], settings: IntervalSettings, decisions: str) -> None:
    assert simulate(rho(changes), ones(len(changes)), settings) == decisions


def test_epsilon_and_delta_follow_algorithm_1() -> None:
    alpha = torch.full((6, 1), 0.5, dtype=torch.float64)
    controller = IntervalController(IntervalSettings(2, kappa=2.0, **FREE), alpha)
    controller.finish(None)
    controller.finish(torch.tensor([[0.1]]))  # epsilon 0.1, E = {0.1}
    controller.finish()  # + 0.5 · 0.1
    controller.finish()  # + 0.25 · 0.1
    assert controller.decisions == "FFPP"
    assert controller.epsilon == pytest.approx(0.175)
    assert controller.deltas == pytest.approx([0.0, 0.0, 0.2, 0.2])
    assert controller.epsilons == pytest.approx([0.0, 0.0, 0.1, 0.15])


def test_the_decision_is_one_for_all_streams_and_blocks() -> None:
    controller = IntervalController(IntervalSettings(2, **FREE), torch.ones(5, 2, dtype=torch.float64))
    controller.finish(None)
    controller.finish(torch.tensor([[0.1, 0.3], [0.2, 0.2]]))
    assert controller.epsilon == pytest.approx(0.2)


def test_a_first_step_adds_nothing_to_the_threshold() -> None:
    controller = IntervalController(IntervalSettings(2, **FREE), ones(5))
    controller.finish(None)
    assert controller.delta == 0.0
    controller.finish(torch.tensor([[0.3]]))
    assert controller.delta == pytest.approx(0.3)


@pytest.mark.parametrize("sf", range(2, 12))
def test_exactly_sf_steps_are_computed_at_the_start(sf: int) -> None:
    decisions = simulate(rho([0.1] * 30), ones(30), IntervalSettings(sf, kappa=1.5, **FREE))
    assert decisions.startswith("F" * sf + "P")


def test_the_mean_of_full_steps_is_over_runs() -> None:
    runs = [rho([0.1] * 8), rho([0.0] * 8)]
    assert mean_full_steps(runs, ones(8), IntervalSettings(2, **FREE)) == (5 + 2) / 2


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"sf": 1}, "sf 1"), ({"sf": 4, "kappa": 0.0}, "kappa 0.0"), ({"sf": 4, "max_skip": 0}, "max_skip 0")],
)
def test_impossible_settings_are_refused_by_name(changes: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        IntervalSettings(**changes)  # type: ignore[arg-type]
