"""What a run goes by: the usual guess, what was measured, or a guess that describes the run better."""

import numpy as np
import pytest

from workers.scalingcache import priors
from workers.scalingcache.covariance import of_run

LEVELS = np.linspace(1.0, 0.02, 50)


def products(matrix: np.ndarray, seed: int = 0, dimensions: int = 3000) -> np.ndarray:
    """Inner products of outputs drawn from a covariance."""
    factor = np.linalg.cholesky(matrix + 1e-10 * np.eye(len(matrix)))
    values = factor @ np.random.default_rng(seed).normal(size=(len(matrix), dimensions))
    return values @ values.T / dimensions


def evidence(matrix: np.ndarray, shown: np.ndarray, steps: int) -> float:
    """Of one covariance."""
    return float(priors.evidence(matrix[None], shown, range(steps))[0])


def test_many_covariances_at_once_have_the_evidence_that_each_has_alone() -> None:
    shown = products(priors.kernel(LEVELS, 2.0, 1e-3))
    matrices = np.stack([priors.kernel(LEVELS, length, 1e-2) for length in priors.LENGTHS])
    alone = [evidence(matrix, shown, 6) for matrix in matrices]
    assert priors.evidence(matrices, shown, range(6)) == pytest.approx(alone)


def test_without_a_measurement_the_usual_guess_stands() -> None:
    start = priors.combined(None, LEVELS)

    assert start.runs == 0
    assert start.matrix == pytest.approx(priors.usual(LEVELS).matrix)


@pytest.mark.parametrize("runs", [1, 50])
def test_what_was_measured_outweighs_the_guess_by_its_runs(runs: int) -> None:
    measured = of_run(LEVELS, np.ones((50, 50)), 1.0)
    many = type(measured)(measured.sigmas, measured.matrix, runs=runs)

    combined = priors.combined(many, LEVELS)

    share = priors.STRENGTH / (runs + priors.STRENGTH)
    assert combined.runs == runs
    assert combined.matrix == pytest.approx((1 - share) * many.matrix + share * priors.usual(LEVELS).matrix)


def test_a_run_is_described_best_by_the_kernel_it_came_from() -> None:
    for length, jitter in ((1.0, 1e-3), (8.0, 1e-4), (2.0, 1e-1)):
        shown = products(priors.kernel(LEVELS, length, jitter))
        scores = {
            (a, b): evidence(priors.kernel(LEVELS, a, b), shown, 12) for a in priors.LENGTHS for b in priors.JITTERS
        }
        best_length, best_jitter = max(scores, key=lambda key: scores[key])
        assert best_jitter == jitter
        assert 0.5 <= best_length / length <= 2.0


def test_the_evidence_does_not_depend_on_how_large_outputs_are() -> None:
    matrix = priors.kernel(LEVELS, 2.0, 1e-3)
    shown = products(matrix)

    # Larger outputs are less probable by as much under every covariance, so that none gains by it.
    other = priors.kernel(LEVELS, 8.0, 1e-2)
    lead = evidence(matrix, shown, 8) - evidence(other, shown, 8)
    assert evidence(matrix, 9.0 * shown, 8) - evidence(other, 9.0 * shown, 8) == pytest.approx(lead)
    assert evidence(5.0 * matrix, shown, 8) == pytest.approx(evidence(matrix, shown, 8), abs=1e-3)


def test_two_outputs_are_too_few_to_judge_by() -> None:
    start = priors.combined(None, LEVELS)

    assert priors.fitting(start, products(priors.kernel(LEVELS, 8.0, 0.0)), [0, 1]) is start.matrix


def test_an_unmeasured_model_takes_whatever_describes_the_run_better() -> None:
    start = priors.combined(None, LEVELS)

    taken = priors.fitting(start, products(priors.kernel(LEVELS, 8.0, 1e-1)), range(8))

    assert taken is not start.matrix
    assert taken == pytest.approx(priors.kernel(LEVELS, 8.0, 1e-1), abs=0.2)


def test_a_measurement_that_describes_the_run_stays() -> None:
    truth = priors.kernel(LEVELS, 3.0, 3e-3)
    start = priors.combined(of_run(LEVELS, truth, 1.0), LEVELS)

    assert priors.fitting(start, products(truth), range(8)) is start.matrix


def test_a_measurement_of_something_else_is_given_up() -> None:
    start = priors.combined(of_run(LEVELS, priors.kernel(LEVELS, 8.0, 0.0), 1.0), LEVELS)

    assert priors.fitting(start, products(priors.kernel(LEVELS, 1.0, 1e-1)), range(8)) is not start.matrix


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_outputs_that_do_not_change_decide_nothing(value: float) -> None:
    start = priors.combined(None, LEVELS)

    assert priors.fitting(start, np.full((50, 50), value), range(6)) is start.matrix


@pytest.mark.parametrize(("steps", "shift"), [(50, 50.0), (50, 100.0), (100, 30.0), (200, 12.0), (1000, 1.0)])
def test_noise_levels_that_nearly_coincide_end_no_run(steps: int, shift: float) -> None:
    even = np.linspace(1.0, 1.0 / steps, steps)
    start = priors.combined(None, shift * even / (1.0 + (shift - 1.0) * even))
    shown = products(start.matrix, dimensions=300)
    for first in (0, steps - priors.WINDOW):
        assert np.isfinite(priors.fitting(start, shown, range(first, first + priors.WINDOW))).all()


def test_a_measurement_with_a_negative_direction_ends_no_run() -> None:
    start = priors.combined(None, LEVELS)
    damaged = type(start)(LEVELS, start.matrix - 1e-2 * np.eye(50), runs=1)
    assert priors.fitting(damaged, products(start.matrix), range(6)) is damaged.matrix
