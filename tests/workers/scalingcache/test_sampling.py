"""The sample of tokens, and the relative change that it forms."""

import torch

from workers.scalingcache.paper.shard import Shard
from workers.scalingcache.sampling import norms, ratio, relative_change, sample_indices


def test_a_sample_is_one_token_of_each_stratum_and_repeats_with_its_seed() -> None:
    indices = sample_indices(324, 32, seed=5)
    assert len(set(indices.tolist())) == 32
    strata = (indices.double() * 32 / 324).long()
    assert strata.tolist() == list(range(32))
    assert torch.equal(indices, sample_indices(324, 32, seed=5))


def test_blocks_together_watch_most_tokens() -> None:
    seen = {int(i) for block in range(24) for i in sample_indices(324, 32, seed=block)}
    assert len(seen) > 0.8 * 324


def test_a_sample_of_more_tokens_than_there_are_is_all_of_them() -> None:
    assert sample_indices(5, 32, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_relative_change_is_a_ratio_of_norms() -> None:
    before = torch.tensor([[[1.0, -1.0], [2.0, 0.0]]])
    now = torch.tensor([[[1.5, -1.0], [2.0, -0.5]]])
    assert relative_change(now, before) == torch.tensor(1.0 / 5.0)


def test_values_near_zero_do_not_blow_it_up() -> None:
    before = torch.tensor([[[1e-12, 1.0]]])
    now = torch.tensor([[[0.1, 1.0]]])
    assert relative_change(now, before) < 0.1
    assert relative_change(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)) == 0


def test_of_a_batch_the_worst_sample_counts() -> None:
    before = torch.ones(2, 3, 4)
    now = before.clone()
    now[1] *= 2
    assert relative_change(now, before) == 0.5


def test_what_processes_see_of_their_tokens_adds_up_to_what_one_sees_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    now, before = torch.randn(2, 2, 40, 3, generator=generator)
    indices = sample_indices(40, 12, seed=1)
    parts = []
    for index in range(4):
        tokens = slice(10 * index, 10 * index + 10)
        own = Shard(index, 4).own(indices, 10)
        parts.append(norms(now[:, tokens][:, own], before[:, tokens][:, own]))
    expected = relative_change(now[:, indices], before[:, indices])
    torch.testing.assert_close(ratio(torch.stack(parts).sum(dim=0)), expected)
