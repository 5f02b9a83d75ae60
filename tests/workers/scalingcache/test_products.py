"""Inner products of outputs, from a sample of their elements."""

import numpy as np
import pytest
import torch

from workers.scalingcache.products import ELEMENTS, NotFiniteOutput, Products


def test_small_outputs_are_looked_at_whole() -> None:
    outputs = torch.randn(4, 1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    products = Products(6)
    for step, output in enumerate(outputs):
        products.add(step, output)

    flat = outputs.flatten(1).double().numpy()
    assert products.matrix[:4, :4] == pytest.approx(flat @ flat.T / flat.shape[1], rel=1e-6)
    assert not products.matrix[4:].any()


def test_of_large_outputs_a_bounded_sample_is_kept_that_is_near_the_whole() -> None:
    base = torch.randn(16 * ELEMENTS, generator=torch.Generator().manual_seed(0))
    products = Products(2)
    products.add(0, base.to(torch.bfloat16))
    products.add(1, 0.5 * base)

    assert products.matrix == pytest.approx(np.array([[1.0, 0.5], [0.5, 0.25]]), abs=0.02)
    kept = sum(tensor.nbytes for tensor in products.tensors())
    assert kept == 2 * ELEMENTS * 4 + ELEMENTS * 8


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_with_its_step(bad: float) -> None:
    products = Products(3)
    products.add(0, torch.ones(10))
    with pytest.raises(NotFiniteOutput, match="step 1 is not finite"):
        products.add(1, torch.tensor([1.0] * 9 + [bad]))
    with pytest.raises(NotFiniteOutput, match="result"):
        products.end(torch.tensor([1.0, bad]))


def test_cleared_products_keep_their_numbers_and_no_tensor() -> None:
    products = Products(1)
    products.add(0, torch.ones(10))
    products.clear()

    assert products.tensors() == []
    assert products.matrix[0, 0] == 1.0
