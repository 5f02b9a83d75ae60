"""Coefficients from trajectories whose answer is known."""

from itertools import pairwise

import pytest
import torch

from workers.scalingcache.paper.controller import IntervalSettings, mean_full_steps
from workers.scalingcache.paper.estimation import (
    Recorder,
    Sample,
    better_estimator,
    convergence,
    fit_kappa,
    group_distances,
    moving_average,
    of_sample,
    pooled,
    prediction_error,
    spread,
)

STEPS, BLOCKS = 20, 2


def record(ratios: tuple[float, ...], seed: int = 0, noise: float = 0.0) -> Sample:
    """A recording of blocks whose differences shrink by their ratio at every step, over two streams."""
    generator = torch.Generator().manual_seed(seed)
    recorder = Recorder(blocks=len(ratios), tokens=7)
    directions = torch.randn(2, len(ratios), 1, 9, 4, generator=generator)
    for step in range(STEPS):
        for stream in range(2):
            for block, ratio in enumerate(ratios):
                travelled = sum(ratio**i for i in range(step + 1))
                jitter = noise * torch.randn(1, 9, 4, generator=generator)
                recorder.observe(f"stream {stream}", block, 5 + travelled * directions[stream, block] + jitter)
        recorder.end_step()
    return recorder.sample()


def test_the_ratio_of_a_geometric_trajectory_is_found_in_every_block_and_step() -> None:
    alpha = of_sample(record((0.9, 1.1)))
    assert torch.allclose(alpha[2:, 0], torch.tensor(0.9, dtype=torch.float64), atol=1e-3)
    assert torch.allclose(alpha[2:, 1], torch.tensor(1.1, dtype=torch.float64), atol=1e-3)


def test_coefficients_stay_inside_the_range_that_the_method_assumes() -> None:
    wild = record((0.9,), noise=1.0)
    assert bool(((of_sample(wild)[2:] > 0) & (of_sample(wild)[2:] < 2)).all())


def test_pooled_is_the_least_squares_answer_over_all_samples() -> None:
    samples = [record((0.9, 0.95), seed, noise=0.005) for seed in range(4)]
    best = float(prediction_error(pooled(samples), samples).sum())
    for shift in (-0.01, 0.01):
        assert float(prediction_error(pooled(samples) + shift, samples).sum()) > best


def test_the_moving_average_starts_from_its_first_sample() -> None:
    first, second = record((0.9,)), record((0.5,))
    assert torch.equal(moving_average([first]), of_sample(first))
    expected = 0.97 * of_sample(first) + 0.03 * of_sample(second)
    assert torch.allclose(moving_average([first, second]), expected)


def test_the_estimator_that_predicts_unseen_samples_better_is_chosen() -> None:
    outlier_first = [record((0.3,), seed=9), *[record((0.9,), seed) for seed in range(6)]]
    assert better_estimator(outlier_first) == "pooled"


def test_convergence_ends_at_zero_and_counts_samples() -> None:
    samples = [record((0.9,), seed, noise=0.05) for seed in range(10)]
    counts, distances = zip(*convergence(samples, "pooled"), strict=True)
    assert counts == tuple(range(1, 11))
    assert distances[-1] == 0.0
    assert distances[0] > distances[6]


def test_inner_products_over_many_tokens_are_those_of_the_whole_tensors() -> None:
    outputs = [torch.randn(2, 5000, 3, generator=torch.Generator().manual_seed(step)) for step in range(3)]
    recorder = Recorder(blocks=1)
    for output in outputs:
        recorder.observe("cond", 0, output)
        recorder.end_step()
    sample = recorder.sample()
    first, second = (b.double() - a.double() for a, b in pairwise(outputs))
    assert float(sample.energy[2, 0]) == pytest.approx(float((second * second).sum()))
    assert float(sample.cross[2, 0]) == pytest.approx(float((second * first).sum()))
    per_sample = second.abs().sum((1, 2)) / outputs[2].abs().sum((1, 2))
    assert float(sample.rho[2, 0, 0]) == pytest.approx(float(per_sample.max()))


def test_kinds_of_prompts_that_behave_alike_are_near_and_others_far() -> None:
    samples = [record((ratio,), seed) for seed, ratio in enumerate((0.9, 0.5, 0.9, 0.9))]
    distances = group_distances(samples, ["calm", "wild", "calm", None], "pooled")
    assert list(distances) == ["calm", "wild"]
    assert 0 < distances["calm"] < distances["wild"]
    assert group_distances(samples, [None] * 4, "pooled") == {}


def test_spread_is_across_samples() -> None:
    assert torch.equal(spread([record((0.9,))]), torch.zeros(STEPS, 1, dtype=torch.float64))
    mixed = spread([record((0.9,)), record((0.7,))])
    assert torch.allclose(mixed[2:], torch.full((STEPS - 2, 1), 0.2 / 2**0.5, dtype=torch.float64), atol=1e-3)


def two_experts() -> tuple[Sample, list[Sample]]:
    """A recording over a handover after 8 steps, and of each expert alone."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(STEPS, BLOCKS, 1, 9, 4, generator=generator).cumsum(dim=0)

    def run(steps: range, segments: tuple[int, ...]) -> Sample:
        recorder = Recorder(BLOCKS, segments=segments)
        for step in steps:
            for block in range(BLOCKS):
                recorder.observe("cond", block, outputs[step, block])
            recorder.end_step()
        return recorder.sample()

    return run(range(STEPS), (8, STEPS - 8)), [run(range(8), ()), run(range(8, STEPS), ())]


def test_experts_are_recorded_as_if_each_were_alone() -> None:
    both, alone = two_experts()
    for name in ("energy", "cross", "rho"):
        assert torch.equal(getattr(both, name), torch.cat([getattr(sample, name) for sample in alone]))
    for estimate in (pooled, moving_average):
        assert torch.equal(estimate([both]), torch.cat([estimate([sample]) for sample in alone]))


def test_where_an_expert_takes_over_the_prediction_error_is_that_of_repeating() -> None:
    both, alone = two_experts()
    high, low = (prediction_error(pooled([sample]), [sample]) for sample in alone)
    expected = torch.cat([high, torch.ones(2, dtype=torch.float64), low])
    assert torch.equal(prediction_error(pooled([both]), [both]), expected)


def changes(values: list[float]) -> Sample:
    steps = len(values)
    empty = torch.zeros(steps, BLOCKS, dtype=torch.float64)
    return Sample(empty, empty, torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1).expand(-1, 1, BLOCKS))


def test_kappa_stays_one_where_the_papers_rule_gives_two_to_three_times() -> None:
    u_shaped = changes([0.0] + [0.4 - 0.05 * i for i in range(7)] + [0.02] * 34 + [0.05 * i for i in range(1, 9)])
    alpha = torch.ones(50, BLOCKS, dtype=torch.float64)
    assert fit_kappa([u_shaped], alpha, IntervalSettings(10, max_skip=3, final_full_steps=1)) == 1.0


def test_kappa_is_fitted_where_change_only_rises() -> None:
    rising = [changes([0.01 * i * (1 + 0.01 * k) for i in range(50)]) for k in range(5)]
    alpha = torch.ones(50, BLOCKS, dtype=torch.float64)
    interval = IntervalSettings(10, max_skip=6, final_full_steps=1)
    kappa = fit_kappa(rising, alpha, interval)
    assert kappa > 1.5
    fitted = IntervalSettings(10, kappa, 6, 1)
    assert mean_full_steps([s.rho for s in rising], alpha, fitted) == pytest.approx(20, abs=1.5)
