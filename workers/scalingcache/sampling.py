"""Which tokens of a block's output are watched: the relative change needs a sample, not the whole tensor."""

import torch
from torch import Tensor


def sample_indices(tokens: int, count: int, seed: int) -> Tensor:
    """`min(count, tokens)` token indices, one at random from each of as many equal strata; sorted, int64.

    With another seed for every block, the blocks together watch most of the picture although each keeps few tokens.
    """
    count = min(count, tokens)
    generator = torch.Generator().manual_seed(seed)
    edges = torch.arange(count, dtype=torch.float64) * tokens / count
    offsets = torch.rand(count, generator=generator, dtype=torch.float64) * tokens / count
    return (edges + offsets).long().clamp_(max=tokens - 1)


def relative_change(now: Tensor, before: Tensor) -> Tensor:
    """|now - before|₁ / |now|₁ as a 0-dim float32 tensor on the device; of a batch, the sample that changed most.

    now, before: `[batch, tokens, channels]`. A ratio of norms: the paper's element-wise division has no mean near zero.
    """
    return ratio(norms(now, before))


def norms(now: Tensor, before: Tensor) -> Tensor:
    """`[batch, 2]`, float32: |now - before|₁ and |now|₁. Those of parts of the tokens add up."""
    now, before = now.float(), before.float()
    return torch.stack([(now - before).abs().sum(dim=(1, 2)), now.abs().sum(dim=(1, 2))], dim=-1)


def ratio(norms: Tensor) -> Tensor:
    """From `[..., batch, 2]` to `[...]`: the largest relative change of a batch."""
    return (norms[..., 0] / norms[..., 1].clamp(min=torch.finfo(torch.float32).eps)).amax(dim=-1)
