"""A solver as a weighted sum, of outputs and of data."""

import numpy as np
import pytest

from tests.workers.scalingcache.solvers import euler, levels
from workers.scalingcache.response import Response

STEPS = 8


def second_order(steps: int) -> Response:
    """Of Adams-Bashforth's solver, whose first step is Euler's."""
    outputs = np.zeros((steps + 1, steps))
    for step in range(steps):
        outputs[step + 1] = outputs[step]
        outputs[step + 1, step] -= (1.5 if step else 1.0) / steps
        if step:
            outputs[step + 1, step - 1] += 0.5 / steps
    return Response(levels(steps), np.ones(steps + 1), outputs)


@pytest.mark.parametrize("response", [euler(STEPS), second_order(STEPS)], ids=["Euler", "second order"])
def test_samples_are_the_same_told_by_data(response: Response) -> None:
    first, outputs = np.random.default_rng(0).normal(size=(2, STEPS))
    samples = response.start * first[0] + response.outputs @ outputs
    data = samples[:STEPS] - response.sigmas * outputs

    start, by_data = response.by_data

    assert start * first[0] + by_data @ data == pytest.approx(samples)


def test_what_eulers_last_step_gives_is_its_data_alone() -> None:
    start, by_data = euler(STEPS).by_data

    assert start[STEPS] == pytest.approx(0.0)
    assert by_data[STEPS] == pytest.approx(np.eye(STEPS)[-1])


def test_a_noise_level_of_zero_can_be_told_by_data() -> None:
    at_zero = Response(np.array([1.0, 0.5, 0.0]), np.ones(4), np.tril(np.ones((4, 3)), -1) / -3)

    assert all(np.isfinite(each).all() for each in at_zero.by_data)


def test_the_covariance_of_differences_of_data_is_that_of_runs() -> None:
    response = second_order(STEPS)
    outputs = np.random.default_rng(1).normal(size=(STEPS, 9)).cumsum(axis=0)
    data = 3.0 + response.outputs[:STEPS] @ outputs - np.diag(response.sigmas) @ outputs

    covariance = response.data_covariance(outputs @ outputs.T / 9)

    difference = data[5] - data[2]
    assert covariance[5, 5] - 2 * covariance[5, 2] + covariance[2, 2] == pytest.approx((difference**2).mean())
