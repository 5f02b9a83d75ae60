"""Forecasts as weights, on sequences whose continuation is known; and the schedules of published methods."""

import numpy as np
import pytest
import torch

from bench.rivals.forecast import Forecast, Mask, reuse, taylor, weighted_sum
from bench.rivals.methods.fixed_interval import every
from bench.rivals.methods.last_block_taylorseer import FIRST
from bench.rivals.methods.paper import alpha_weights
from bench.rivals.methods.spectrum import chebyshev, growing_window
from workers.scalingcache.paper.predictor import difference, difference_ratio, extrapolation, predict


def test_reuse_takes_the_latest_output() -> None:
    assert reuse([0, 3, 5], 6) == [0.0, 0.0, 1.0]


def test_the_first_order_goes_on_along_a_line() -> None:
    assert taylor(1)([2, 4], 7) == pytest.approx([-1.5, 2.5])


def test_the_second_order_is_taylorseers_recursion_of_differences() -> None:
    y = {0: 1.0, 1: 4.0, 3: 2.0}
    first, second = (4.0 - 1.0) / 1, (2.0 - 4.0) / 2
    curvature = (second - first) / 2
    expected = 2.0 + second * 2 + curvature * 2**2 / 2
    weights = taylor(2)([0, 1, 3], 5)
    assert sum(w * y[k] for w, k in zip(weights, y, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 2])
def test_with_fewer_outputs_than_an_order_needs_a_lower_one_is_taken(order: int) -> None:
    assert taylor(order)([4], 6) == [1.0]
    assert sum(taylor(order)([3, 4], 6)) == pytest.approx(1.0)


def test_the_paper_s_forecast_is_the_one_of_scalingcache() -> None:
    alpha = torch.rand(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before, latest, step = 3, 6, 9
    a, b = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(1))
    delta = difference(b, a, float(difference_ratio(alpha[:, -1], before, latest)))
    expected = predict(b, delta, float(extrapolation(alpha[:, -1], latest, step)))
    torch.testing.assert_close(weighted_sum(alpha_weights(alpha)([before, latest], step), [a, b]), expected)


def test_spectrum_is_a_ridge_regression_on_chebyshev_polynomials_over_the_whole_run() -> None:
    full, step = [0, 1, 2, 3, 4, 6, 9, 13, 18], 21
    y = np.random.default_rng(0).normal(size=len(full))

    def polynomials(at: int) -> list[float]:
        angle = np.arccos(at / 25 - 1)  # of 50 steps
        return [float(np.cos(n * angle)) for n in range(5)]

    # A penalty of 0.1 |c|² is the same as five more observations of 0.
    design = np.array([polynomials(k) for k in full] + list(np.sqrt(0.1) * np.eye(5)))
    fitted = np.linalg.lstsq(design, np.append(y, np.zeros(5)))[0]
    assert np.dot(chebyshev(50, w=1.0)(full, step), y) == pytest.approx(np.dot(polynomials(step), fitted))


def test_spectrums_blend_is_half_a_line_and_half_the_regression() -> None:
    full, step = [0, 1, 2, 3, 4, 6], 7
    both = (np.array(chebyshev(50, 1.0)(full, step)) + np.array([0, 0, 0, 0, *taylor(1)([4, 6], step)])) / 2
    assert chebyshev(50, 0.5)(full, step) == pytest.approx(both)


@pytest.mark.parametrize(("growth", "count"), [(0.75, 14), (3.0, 10)])
def test_spectrums_window_gives_the_numbers_of_full_steps_of_its_paper(growth: float, count: int) -> None:
    assert len(growing_window(50, 2.0, growth)) == count


def test_schedules_by_hand() -> None:
    assert growing_window(12, 2.0, 1.0) == {0, 1, 2, 3, 4, 6, 9}
    assert every(12, 4) == {0, 1, 2, 6, 10, 11}
    assert FIRST == 3


def test_a_forecast_keeps_as_many_outputs_as_it_weighs_and_streams_apart() -> None:
    seen: list[list[int]] = []

    def weights(full_steps: list[int], step: int) -> list[float]:
        seen.append([*full_steps, step])
        return reuse(full_steps, step)

    forecast = Forecast(Mask({0, 1, 3}), weights, last_block=1, anchors=2)
    for step in range(5):
        for stream, offset in (("cond", 0.0), ("uncond", 100.0)):
            if forecast.full:
                forecast.observe(stream, 0, torch.full((1, 1, 1), -1.0))
                forecast.observe(stream, 1, torch.full((1, 1, 1), step + offset))
            else:
                assert float(forecast.predict(stream)) == max(k for k in (0, 1, 3) if k < step) + offset
        forecast.end_step()
    assert seen == [[0, 1, 2], [0, 1, 2], [1, 3, 4], [1, 3, 4]]


def test_a_weighted_sum_of_half_precision_is_rounded_once() -> None:
    outputs = [torch.tensor([1.0], dtype=torch.bfloat16), torch.tensor([1.0078125], dtype=torch.bfloat16)]
    total = weighted_sum([-100.0, 101.0], outputs)
    assert total.dtype == torch.bfloat16
    assert float(total) == float(torch.tensor(1.7890625, dtype=torch.bfloat16))
