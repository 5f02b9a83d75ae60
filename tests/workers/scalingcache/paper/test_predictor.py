"""The predictor on sequences whose answer is known."""

import pytest
import torch

from workers.scalingcache.paper.predictor import decay, difference, difference_ratio, extrapolation, predict


def geometric(steps: int, ratio: float) -> tuple[torch.Tensor, torch.Tensor]:
    """y_i whose differences shrink by `ratio` each step, and the coefficients that describe it exactly."""
    differences = torch.tensor([ratio**i for i in range(steps)], dtype=torch.float64)
    return differences.cumsum(0), torch.full((steps, 1), ratio, dtype=torch.float64)


def test_adjacent_full_steps_give_a_ratio_of_exactly_one() -> None:
    alpha = torch.rand(10, 4, dtype=torch.float64)
    for tau in range(1, 10):
        assert torch.equal(difference_ratio(alpha, tau - 1, tau), torch.ones(4, dtype=torch.float64))


def test_the_ratio_is_equation_6_before_its_common_factor_is_cancelled() -> None:
    alpha = torch.rand(12, 3, dtype=torch.float64) + 0.5
    tau_before, tau = 3, 8
    numerator = alpha[tau_before + 1 : tau + 1].prod(0)
    denominator = sum(alpha[tau_before + 1 : k + 1].prod(0) for k in range(tau_before + 1, tau + 1))
    assert torch.allclose(difference_ratio(alpha, tau_before, tau), numerator / denominator)


def test_the_ratio_survives_a_first_factor_of_zero() -> None:
    alpha = torch.ones(8, 1, dtype=torch.float64)
    alpha[4] = 0.0
    assert torch.equal(difference_ratio(alpha, 3, 6), torch.tensor([1 / 3], dtype=torch.float64))


@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.2])
def test_a_geometric_sequence_is_predicted_exactly_over_any_interval(ratio: float) -> None:
    y, alpha = geometric(20, ratio)
    for tau_before, tau, step in [(1, 2, 3), (1, 2, 9), (2, 7, 8), (2, 7, 15)]:
        delta = difference_ratio(alpha, tau_before, tau) * (y[tau] - y[tau_before])
        predicted = y[tau] + extrapolation(alpha, tau, step) * delta
        assert torch.allclose(predicted, y[step])


def test_the_closed_form_is_algorithm_1_line_10_unrolled() -> None:
    alpha = torch.rand(20, 1, dtype=torch.float64) + 0.5
    y, delta = torch.tensor([2.0], dtype=torch.float64), torch.tensor([0.3], dtype=torch.float64)
    recursive, shrinking = y, delta
    for step in range(6, 12):
        shrinking = alpha[step] * shrinking
        recursive = recursive + shrinking
        assert torch.allclose(y + extrapolation(alpha, 5, step) * delta, recursive)
        assert torch.allclose(decay(alpha, 5, step) * delta, shrinking)


def test_a_difference_is_taken_in_float32_even_when_stored_in_half_precision() -> None:
    before = torch.full((1, 1, 4), 100.0, dtype=torch.bfloat16)
    now = torch.full((1, 1, 4), 100.5, dtype=torch.bfloat16)
    delta = difference(now, before, 1 / 3)
    assert delta.dtype == torch.bfloat16
    assert torch.allclose(delta.float(), torch.full((1, 1, 4), 0.5 / 3), rtol=2**-8)


def test_a_prediction_keeps_shape_and_dtype_and_is_evaluated_in_float32() -> None:
    y = torch.randn(2, 5, 8).bfloat16()
    delta = torch.randn(2, 5, 8).bfloat16()
    exact = (y.float() + 1.2345 * delta.float()).bfloat16()
    predicted = predict(y, delta, 1.2345)
    assert (predicted.shape, predicted.dtype) == (exact.shape, exact.dtype)
    torch.testing.assert_close(predicted, exact, rtol=2**-7, atol=0.0)  # one rounding fewer with a fused sum
