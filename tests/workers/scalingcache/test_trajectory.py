"""Where the samples of a run stand, as sums of what was computed."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.workers.scalingcache.solvers import euler, levels
from workers.scalingcache.trajectory import Trajectory, expected_error

STEPS = 8


def walk(steps: int = STEPS) -> np.ndarray:
    return np.minimum.outer(np.arange(1.0, steps + 1), np.arange(1.0, steps + 1)) / steps


def after(known: Sequence[int], matrix: np.ndarray | None = None) -> Trajectory:
    """A run that has computed these steps."""
    run = Trajectory(euler(STEPS), walk() if matrix is None else matrix)
    for step in known:
        if step:
            run.sample(step)
        run.compute(step)
    return run


def result(model: Callable[[float, float], float], known: Sequence[int], first: float = 2.0) -> float:
    """What a run gives that computes `known` alone, of a model of one element that is asked for sample and noise."""
    run = Trajectory(euler(STEPS), walk())
    row, outputs = np.eye(1, 1 + STEPS)[0], np.zeros(STEPS)
    for step in known:
        row = run.sample(step) if step else row
        outputs[step] = model(float(row @ [first, *outputs]), levels(STEPS)[step])
        run.compute(step)
    return float(run.sample(STEPS) @ [first, *outputs])


def test_with_every_output_known_the_weights_are_the_solvers_own() -> None:
    first, *outputs = after(range(5)).sample(5)

    assert first == pytest.approx(1.0)
    assert outputs == pytest.approx([-1 / STEPS] * 5 + [0.0] * 3)


def test_of_a_walk_the_latest_data_stand_until_the_next_are_known() -> None:
    run, outputs = after([0, 1]), np.random.default_rng(0).normal(size=STEPS)

    # Towards the data of step 1, which are its sample less all of its noise.
    sample = run.sample(1)[1:] @ outputs
    data = sample - levels(STEPS)[1] * outputs[1]
    assert run.sample(4)[1:] @ outputs == pytest.approx(data + (sample - data) * levels(STEPS)[4] / levels(STEPS)[1])


def test_a_weighted_sum_keeps_what_all_outputs_have_in_common() -> None:
    for known in ([0, 1, 3, 6], [0, 1, 2, 7], [0, 1]):
        assert after(known).sample(STEPS)[1:].sum() == pytest.approx(-1.0)


def test_data_that_do_not_depend_on_the_sample_are_met_however_far_off_it_was() -> None:
    def denoised(sample: float, level: float) -> float:
        """Of a model that knows the picture, which changes a little as it goes."""
        return (sample - (5.0 + level**2)) / level

    exact = result(denoised, range(STEPS))

    assert result(denoised, [0, 1, 4, 7]) == pytest.approx(exact)
    assert result(denoised, [0, 7]) == pytest.approx(exact)


def test_an_error_that_a_gap_has_brought_is_taken_out_again_where_outputs_do_not_answer_it() -> None:
    values = -np.log(levels(STEPS))
    run, exact = after([0, 1]), -np.cumsum(values) / STEPS

    at_4 = run.sample(4)[1:] @ values
    run.compute(4)
    at_5 = run.sample(5)[1:] @ values

    assert abs(at_5 - exact[4]) < 0.6 * abs(at_4 - exact[3])


def test_how_far_an_output_was_off_is_told_of_the_sample_that_the_model_was_given() -> None:
    values = np.random.default_rng(0).normal(size=(STEPS, 4000)).cumsum(axis=0)
    run = after([0, 1])
    sample = run.sample(4)[1:] @ values
    data = [run.sample(step)[1:] @ values - level * values[step] for step, level in ((0, 1.0), (1, 0.875))]
    run.sample(4)
    run.compute(4)

    expected, off = run.misprediction()

    assert expected > 0
    # Of a walk the latest data are the best guess of the next, all but exactly.
    predicted = (sample - data[1]) / levels(STEPS)[4]
    assert off @ values == pytest.approx(predicted - values[4], abs=0.05)


def test_the_expected_error_is_that_of_the_sum() -> None:
    values = np.random.default_rng(0).normal(size=(STEPS, 4000)).cumsum(axis=0)
    matrix, known = values @ values.T / values.shape[1], [0, 1, 3, 7]

    exact = -values.sum(axis=0) / STEPS
    predicted = after(known, matrix).sample(STEPS)[1:] @ values

    assert expected_error(euler(STEPS), matrix, known) == pytest.approx(((exact - predicted) ** 2).mean())
    assert expected_error(euler(STEPS), matrix, range(STEPS)) == pytest.approx(0.0, abs=1e-12)


def test_weights_of_another_covariance_are_worse_under_the_true_one() -> None:
    kernel = np.exp(-0.5 * (np.subtract.outer(np.arange(STEPS), np.arange(STEPS)) / 3.0) ** 2)
    known = [0, 1, 4, 7]

    worse = expected_error(euler(STEPS), walk(), known, truth=kernel)

    assert worse > expected_error(euler(STEPS), kernel, known)


def test_a_run_that_goes_by_another_covariance_has_other_weights_from_then_on() -> None:
    run = after([0, 1, 4])
    before = run.sample(7)

    run.go_by(np.exp(-0.5 * (np.subtract.outer(np.arange(STEPS), np.arange(STEPS)) / 3.0) ** 2))

    assert not np.allclose(run.sample(7), before)
