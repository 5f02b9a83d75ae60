"""What the measurement of guesses finds on runs that are drawn from a known one."""

import numpy as np
import pytest

from bench.priors import FIRST, GUESSES, Recorded, first_steps, guesses
from workers.scalingcache import priors
from workers.scalingcache.covariance import of_run
from workers.scalingcache.response import Response

STEPS = 20
SIGMAS = np.linspace(0.98, 0.02, STEPS)


def drawn(name: str, length: float, jitter: float, runs: int = 3) -> Recorded:
    """Runs whose outputs are random with a kernel's covariance, and Euler's solver."""
    root = np.linalg.cholesky(priors.kernel(SIGMAS, length, jitter))
    outputs = np.tril(np.ones((STEPS + 1, STEPS)), -1) / -STEPS
    found = []
    for seed in range(runs):
        values = root @ np.random.default_rng(seed).normal(size=(STEPS, 4000))
        found.append(of_run(SIGMAS, values @ values.T / values.shape[1], 1.0))
    return Recorded(name, Response(SIGMAS, np.ones(STEPS + 1), outputs), tuple(found))


@pytest.mark.parametrize("true", [(1.0, 1e-1), (2.0, 1e-3), (8.0, 1e-4)])
def test_the_kernel_that_runs_were_drawn_from_is_found_to_be_good(true: tuple[float, float]) -> None:
    model = drawn("m", *true)
    count = model.counts[2]
    bring = {guess: model.guessed(guess, count) for guess in GUESSES}
    assert bring[true] > max(bring.values()) - 0.5
    assert bring[true] > min(bring.values()) + 1
    assert model.guessed(model.likeliest(count), count) > bring[true] - 0.5


def test_a_run_is_not_judged_by_what_it_was_measured_from() -> None:
    same, other = drawn("m", 8.0, 1e-4, runs=2), drawn("m", 1.0, 1e-1, runs=2)
    mixed = Recorded("m", same.response, (same.runs[0], other.runs[0]))
    count = same.counts[2]
    alike, unlike = [model.measured(2, count) for model in (same, mixed)]
    assert alike > unlike + 3


def test_the_tables_have_a_row_for_each_model_and_choice() -> None:
    models = [drawn("a", 2.0, 1e-3), drawn("b", 4.0, 1e-2)]
    assert guesses(models).row_count == 8
    assert guesses(models[:1]).row_count == 3  # there is no other model
    assert first_steps(models).row_count == 2 * len(FIRST)
