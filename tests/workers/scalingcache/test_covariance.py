"""The covariance of a model's outputs: measured, merged, and carried over to other noise levels."""

import numpy as np
import pytest

from workers.scalingcache.covariance import Covariance, log_odds, mean, of_run

LEVELS = np.linspace(1.0, 0.02, 50)


def smooth(sigmas: np.ndarray) -> np.ndarray:
    """A covariance of outputs that turn slowly from one direction into another as noise falls."""
    angle = 0.2 * log_odds(sigmas)
    return np.cos(angle[:, None] - angle[None, :])


def test_a_runs_covariance_has_a_mean_diagonal_of_one_and_remembers_its_size() -> None:
    covariance = of_run(LEVELS, 3.0 * smooth(LEVELS), 1.0)

    assert np.diag(covariance.matrix).mean() == pytest.approx(1.0)
    assert covariance.energy == pytest.approx(3.0)
    assert covariance.runs == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_products_that_are_not_finite_are_refused(bad: float) -> None:
    products = smooth(LEVELS)
    products[3, 4] = bad

    with pytest.raises(ValueError, match="not finite"):
        of_run(LEVELS, products, 1.0)


def test_outputs_that_are_all_zero_have_no_covariance() -> None:
    with pytest.raises(ValueError, match="positive"):
        of_run(LEVELS, np.zeros((50, 50)), 1.0)


def test_several_measurements_count_by_their_runs() -> None:
    one, other = of_run(LEVELS, np.ones((50, 50)), 1.0), of_run(LEVELS, np.eye(50), 1.0)

    both = mean([one, other, other])

    assert both.runs == 3
    assert both.matrix[0, 1] == pytest.approx(1 / 3)
    assert mean([mean([one, other]), other]).matrix == pytest.approx(both.matrix)


def test_the_same_noise_levels_change_nothing() -> None:
    covariance = of_run(LEVELS, smooth(LEVELS), 1.0)

    assert covariance.at(LEVELS) is covariance


def off(sigmas: np.ndarray) -> float:
    """How far an answer is off, between noise levels that are not next to pure noise or none."""
    moved = of_run(LEVELS, smooth(LEVELS), 1.0).at(sigmas)
    inner = (sigmas > 0.03) & (sigmas < 0.97)
    assert moved.matrix.shape == (len(sigmas), len(sigmas))
    truth = smooth(sigmas) / np.diag(smooth(sigmas)).mean()
    return float(np.abs(moved.matrix - truth)[np.ix_(inner, inner)].max())


@pytest.mark.parametrize("steps", [8, 25, 100])
def test_other_steps_are_answered_by_interpolation(steps: int) -> None:
    assert off(np.linspace(1.0, 1.0 / steps, steps)) < 0.02


def test_another_shift_of_the_schedule_is_answered_too() -> None:
    assert off(3.0 * LEVELS / (1.0 + 2.0 * LEVELS)) < 0.02


def test_a_moved_covariance_is_one_of_possible_outputs() -> None:
    moved = of_run(LEVELS, smooth(LEVELS), 1.0).at(np.linspace(0.999, 0.001, 77))

    assert np.linalg.eigvalsh(moved.matrix).min() > -1e-9


def test_a_covariance_of_a_single_step_is_the_same_everywhere() -> None:
    moved = Covariance(np.array([1.0]), np.ones((1, 1))).at(np.array([0.9, 0.5]))

    assert moved.matrix == pytest.approx(np.ones((2, 2)))
