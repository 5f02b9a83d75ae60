"""One run by a forecast, on outputs that are known."""

import numpy as np
import pytest
import torch

from tests.workers.scalingcache.solvers import euler, levels
from workers.scalingcache import priors, schedule
from workers.scalingcache.covariance import Covariance
from workers.scalingcache.forecast import Forecast
from workers.scalingcache.products import NotFiniteOutput

STEPS = 12
LEVELS, EULER = levels(STEPS), euler(STEPS)
FIRST = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))


def outputs(kernel: np.ndarray, seed: int = 0) -> torch.Tensor:
    """Outputs `[steps, 1, 2, 4, 4]` of which the covariance is given."""
    factor = np.linalg.cholesky(kernel + 1e-9 * np.eye(STEPS))
    return torch.from_numpy(factor @ np.random.default_rng(seed).normal(size=(STEPS, 32))).float().view(-1, 1, 2, 4, 4)


def forecast(full: tuple[int, ...], covariance: Covariance | None = None) -> Forecast:
    return Forecast(covariance or priors.usual(LEVELS), EULER, full)


def run(by: Forecast, values: torch.Tensor) -> list[torch.Tensor]:
    """Every sample that the run begins a step with, and its result."""
    samples = [FIRST]
    for step in range(STEPS):
        samples.append(by.step(values[step] if by.full else None, samples[-1]))
    return samples


def test_a_run_without_predicted_steps_gives_what_the_solver_gives() -> None:
    values = outputs(priors.kernel(LEVELS, 2.0, 1e-3))

    samples = run(forecast(tuple(range(STEPS))), values)

    for step in range(STEPS + 1):
        assert torch.allclose(samples[step], FIRST - values[:step].sum(dim=0) / STEPS, atol=1e-5)


def test_outputs_that_never_change_are_predicted_exactly() -> None:
    values = torch.ones(STEPS, 1, 2, 4, 4)

    by = forecast((0, 1, 6, 11))
    result = run(by, values)[-1]

    assert torch.allclose(result, FIRST - 1.0, atol=1e-5)
    assert by.decisions == "FFPPPPFPPPPF"


def test_outputs_on_a_straight_line_are_predicted_all_but_exactly() -> None:
    start, way = torch.randn(2, 1, 2, 4, 4, generator=torch.Generator().manual_seed(3))
    place = torch.from_numpy(-np.log(LEVELS / (1.001 - LEVELS))).float().view(-1, 1, 1, 1, 1)
    values = start + 0.1 * place * way

    result = run(forecast((0, 1, 2, 6, 11)), values)[-1]

    exact = FIRST - values.sum(dim=0) / STEPS
    assert float((result - exact).square().mean() / exact.square().mean()) < 1e-3


def test_predictions_by_the_true_covariance_are_off_as_expected() -> None:
    kernel = priors.kernel(LEVELS, 2.0, 1e-2)
    covariance, full = Covariance(LEVELS, kernel, runs=1000), schedule.plan(kernel, 6, 2)
    ratios = []
    for seed in range(40):
        by = forecast(full, covariance)
        run(by, outputs(kernel, seed))
        ratios += [each.measured / each.expected for each in by.innovations]
    assert 0.7 < np.mean(ratios) < 1.4


def test_the_result_is_as_near_as_it_says() -> None:
    kernel = priors.kernel(LEVELS, 2.0, 1e-2)
    said, seen = [], []
    for seed in range(60):
        values = outputs(kernel, seed)
        by = forecast((0, 1, 4, 8, 11), Covariance(LEVELS, kernel, runs=1000))
        result = run(by, values)[-1]
        exact = FIRST - values.sum(dim=0) / STEPS
        seen.append(10 * np.log10(float(exact.square().mean() / (result - exact).square().mean())))
        snr = by.expected_snr()
        assert snr is not None
        said.append(snr)
    assert np.mean(said) == pytest.approx(np.mean(seen), abs=1.5)


def test_a_run_unlike_what_was_measured_says_that_it_went_by_something_else() -> None:
    measured = Covariance(LEVELS, priors.kernel(LEVELS, 8.0, 0.0), runs=5)
    values = outputs(priors.kernel(LEVELS, 1.0, 1e-1))

    by = forecast((0, 1, 2, 3, 5, 8, 11), measured)
    run(by, values)

    assert by.adapted


def test_a_run_that_came_back_to_what_it_started_with_says_that_it_went_by_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = priors.combined(None, LEVELS)
    other, fits = priors.kernel(LEVELS, 1.0, 1e-1), iter([start.matrix] * 3)
    monkeypatch.setattr(priors, "fitting", lambda *_: other if by.current == 2 else next(fits))
    by = forecast((0, 1, 2, 5))
    run(by, outputs(start.matrix))
    assert by.adapted


def restless(at: int) -> torch.Tensor:
    """Smooth outputs to which as much is added at one step and at all later ones as they are large."""
    values = outputs(priors.kernel(LEVELS, 8.0, 0.0))
    values[at:] += torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    return values


def test_an_output_further_off_than_expected_halves_the_gap_that_follows() -> None:
    by = forecast((0, 1, 4, 8, 11), Covariance(LEVELS, priors.kernel(LEVELS, 8.0, 1e-6), runs=5))

    run(by, restless(at=3))

    assert by.innovations[0].measured > 4 * by.innovations[0].expected
    assert by.added[0] == 6
    assert by.decisions[:7] == "FFPPFPF"


def test_a_run_as_expected_keeps_to_its_plan() -> None:
    kernel, plan = priors.kernel(LEVELS, 8.0, 1e-4), (0, 1, 4, 8, 11)
    added = 0
    for seed in range(40):
        by = forecast(plan, Covariance(LEVELS, kernel, runs=1000))
        run(by, outputs(kernel, seed))
        added += len(by.added)
    assert added <= 1


def test_outputs_that_all_but_stand_still_are_worth_no_step() -> None:
    by = forecast((0, 1, 4, 8, 11), Covariance(LEVELS, priors.kernel(LEVELS, 1e4, 1e-9), runs=5))
    values = torch.ones(STEPS, 1, 2, 4, 4)
    values[3:] += 1e-6

    run(by, values)

    assert by.added == []


def test_a_gap_of_no_step_is_not_halved() -> None:
    by = forecast((0, 1, 4, 5, 11), Covariance(LEVELS, priors.kernel(LEVELS, 8.0, 1e-6), runs=5))

    run(by, restless(at=3))

    assert by.decisions[4:6] == "FF"
    assert all(6 <= step <= 10 for step in by.added)


def test_before_its_end_a_run_expects_nothing() -> None:
    by = forecast((0, 1, 6, 11))
    by.step(torch.ones_like(FIRST), FIRST)

    assert by.expected_snr() is None


def test_it_holds_the_first_sample_the_full_outputs_and_their_sampled_elements() -> None:
    by = forecast((0, 1, 6, 11))
    sample = FIRST
    for output in outputs(priors.kernel(LEVELS, 2.0, 1e-3)):
        sample = by.step(output.clone() if by.full else None, sample)

    sampled, indices = 4 * 32 * 4, 32 * 8
    assert by.peak_cache_bytes == (1 + 4) * FIRST.nbytes + sampled + indices
    by.close()
    assert by.tensors() == []


def test_an_output_that_is_not_finite_ends_the_run() -> None:
    by = forecast((0, 1, 6, 11))
    with pytest.raises(NotFiniteOutput, match="step 0"):
        by.step(torch.full_like(FIRST, float("nan")), FIRST)


@pytest.mark.parametrize("full", [(), (1, 2), (3,)])
def test_a_schedule_that_does_not_begin_at_once_is_refused(full: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="begins with step 0"):
        forecast(full)


def test_a_covariance_of_other_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 12 steps"):
        Forecast(priors.usual(LEVELS[:-1]), EULER, (0, 11))
