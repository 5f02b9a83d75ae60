"""A solver as a weighted sum of the model's outputs."""

import numpy as np
import pytest

from workers.scalingcache.quadrature import Response, expected_error, sample_weights

STEPS = 8


def euler(steps: int = STEPS) -> Response:
    """Of the solver x_{n+1} = x_n + v_n / steps."""
    outputs = np.tril(np.ones((steps + 1, steps)), -1) / steps
    return Response(np.ones(steps + 1), outputs)


def walk(steps: int = STEPS) -> np.ndarray:
    return np.minimum.outer(np.arange(1.0, steps + 1), np.arange(1.0, steps + 1)) / steps


def test_with_every_output_known_the_weights_are_the_solvers_own() -> None:
    assert sample_weights(euler(), walk(), range(5), 5) == pytest.approx(np.full(5, 1 / STEPS))


def test_a_gap_is_repeated_before_the_next_output_is_known_and_interpolated_afterwards() -> None:
    before = sample_weights(euler(), walk(), [0, 1], 4)
    after = sample_weights(euler(), walk(), [0, 1, 4], 5)

    assert before * STEPS == pytest.approx([1.0, 3.0], abs=1e-3)  # steps 2 and 3 are like step 1
    assert after * STEPS == pytest.approx([1.0, 2.0, 2.0], abs=1e-3)  # 2/3 and 1/3 of step 1, the rest of step 4


def test_a_weighted_sum_keeps_what_all_outputs_have_in_common() -> None:
    for known in ([0, 1, 3, 6], [0, 1, 2, 7], [0, 1]):
        assert sample_weights(euler(), walk(), known, STEPS).sum() == pytest.approx(1.0)


def test_the_expected_error_is_that_of_the_sum() -> None:
    values = np.random.default_rng(0).normal(size=(STEPS, 4000)).cumsum(axis=0)
    matrix, known = values @ values.T / values.shape[1], [0, 1, 3, 7]

    result = values.sum(axis=0) / STEPS
    predicted = sample_weights(euler(), matrix, known, STEPS) @ values[known]

    assert expected_error(euler(), matrix, known) == pytest.approx(((result - predicted) ** 2).mean())
    assert expected_error(euler(), matrix, range(STEPS)) == 0.0


def test_weights_of_another_covariance_are_worse_under_the_true_one() -> None:
    kernel = np.exp(-0.5 * (np.subtract.outer(np.arange(STEPS), np.arange(STEPS)) / 3.0) ** 2)
    known = [0, 1, 4, 7]

    assert expected_error(euler(), walk(), known, truth=kernel) > expected_error(euler(), kernel, known)
