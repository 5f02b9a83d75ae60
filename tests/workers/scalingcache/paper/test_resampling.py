"""Coefficients of other numbers of steps, on sequences whose answer is known."""

import pytest
import torch
from torch import Tensor

from workers.scalingcache.paper.estimation import Recorder, of_sample
from workers.scalingcache.paper.resampling import resample
from workers.scalingcache.paper.step_range import step_range


def schedule(steps: int, shift: float = 1.0) -> Tensor:
    """Noise levels as flow-matching schedulers space them, `[steps]` from 1 downwards."""
    sigmas = torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def measured(sigmas: Tensor, rates: tuple[float, ...]) -> Tensor:
    """Coefficients as calibration finds them when block b's output moves as exp(rate_b · σ) along one direction."""
    recorder = Recorder(blocks=len(rates))
    direction = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    for sigma in sigmas:
        for block, rate in enumerate(rates):
            recorder.observe("cond", block, direction * float(torch.exp(rate * sigma)))
        recorder.end_step()
    return of_sample(recorder.sample())


@pytest.mark.parametrize("shift", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("steps", [25, 30, 50, 77, 100])
def test_a_trajectory_known_at_every_noise_level_gives_what_measuring_would_have(steps: int, shift: float) -> None:
    rates = (0.5, -0.7)
    resampled = resample(measured(schedule(50, shift), rates), schedule(50, shift), schedule(steps, shift))
    assert torch.allclose(resampled, measured(schedule(steps, shift), rates), atol=0.02)


def test_the_measured_schedule_itself_gives_the_measured_coefficients() -> None:
    alpha = torch.rand(20, 3, dtype=torch.float64).clamp(0.05) * 1.9
    assert torch.allclose(resample(alpha, schedule(20, 5.0), schedule(20, 5.0))[2:], alpha[2:])


@pytest.mark.parametrize(("steps", "power"), [(10, 2.0), (20, 1.0), (40, 0.5)])
def test_a_step_of_twice_the_width_decays_by_the_square(steps: int, power: float) -> None:
    alpha = torch.tensor([[0.9, 0.6, 1.1]], dtype=torch.float64).expand(20, 3)
    resampled = resample(alpha, schedule(20), schedule(steps))
    assert torch.allclose(resampled[2:], alpha[0] ** power)


def test_what_leaves_the_range_that_the_method_assumes_is_brought_back() -> None:
    for value, bound in ((1.9, 1.99), (0.02, 0.01)):
        alpha = torch.full((20, 1), value, dtype=torch.float64)
        assert torch.allclose(resample(alpha, schedule(20), schedule(10))[2:], torch.tensor(bound, dtype=torch.float64))


def test_the_range_is_from_half_to_twice_the_measured_steps() -> None:
    assert (step_range(50)[0], step_range(50)[-1]) == (25, 100)
    assert step_range(4)[0] == 3
