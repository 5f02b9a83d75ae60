"""The best weights, on covariances whose answer is known."""

import numpy as np
import pytest

from workers.scalingcache.weights import best_weights, expected_errors


def outputs(steps: int, dimensions: int = 400, seed: int = 0) -> np.ndarray:
    """A random walk `[steps, dimensions]`."""
    return np.random.default_rng(seed).normal(size=(steps, dimensions)).cumsum(axis=0)


def covariance(values: np.ndarray) -> np.ndarray:
    return values @ values.T / values.shape[1]


def test_one_known_output_is_repeated() -> None:
    assert best_weights(np.eye(4), np.array([[2]]))[0] == pytest.approx(np.ones((4, 1)))


def test_outputs_on_a_straight_line_are_extrapolated_and_interpolated_exactly() -> None:
    start, way = np.random.default_rng(1).normal(size=(2, 50))
    values = start + np.arange(9)[:, None] * way

    weights = best_weights(covariance(values), np.array([[2, 5]]))[0]

    assert weights[8] == pytest.approx([-1.0, 2.0], abs=1e-4)
    assert weights[4] == pytest.approx([1 / 3, 2 / 3], abs=1e-4)
    assert weights[5] == pytest.approx([0.0, 1.0], abs=1e-4)


def test_a_random_walk_is_best_repeated_and_best_interpolated_in_the_middle() -> None:
    matrix = np.minimum.outer(np.arange(1.0, 10.0), np.arange(1.0, 10.0))

    weights = best_weights(matrix, np.array([[2, 4, 8]]))[0]

    assert weights[6] == pytest.approx([0.0, 0.5, 0.5], abs=1e-4)
    assert best_weights(matrix, np.array([[2, 4]]))[0][8] == pytest.approx([0.0, 1.0], abs=1e-4)


def test_no_other_weights_that_add_up_to_one_have_a_smaller_error() -> None:
    values = outputs(12)
    matrix, known = covariance(values), np.array([[1, 4, 6]])

    weights = best_weights(matrix, known)[0, 9]
    error = ((weights @ values[known[0]] - values[9]) ** 2).mean()

    assert error == pytest.approx(expected_errors(matrix, known)[0, 9], rel=1e-3)
    for change in np.random.default_rng(2).normal(size=(50, 3)):
        other = weights + 0.1 * (change - change.mean())
        assert ((other @ values[known[0]] - values[9]) ** 2).mean() > error


def test_many_sets_at_once_give_what_each_gives_alone() -> None:
    matrix = covariance(outputs(10))
    sets = np.array([[0, 1, 2], [3, 5, 8], [1, 6, 7]])

    together = best_weights(matrix, sets)

    for index, known in enumerate(sets):
        assert together[index] == pytest.approx(best_weights(matrix, known[None])[0])
    assert together.sum(axis=2) == pytest.approx(np.ones((3, 10)))


def test_copies_of_an_output_do_not_get_huge_opposite_weights() -> None:
    values = outputs(8)
    values[3] = values[2]

    weights = best_weights(covariance(values), np.array([[2, 3, 5]]))

    assert np.isfinite(weights).all()
    assert np.abs(weights).max() < 10


def test_known_outputs_are_expected_to_be_exact_and_errors_grow_with_the_gap() -> None:
    errors = expected_errors(np.minimum.outer(np.arange(1.0, 10.0), np.arange(1.0, 10.0)), np.array([[1, 3, 4]]))[0]

    assert errors[[1, 3, 4]] == pytest.approx([0.0, 0.0, 0.0], abs=1e-3)
    assert list(errors[4:]) == sorted(errors[4:])
