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
    now, before = now.float(), before.float()
    size = now.abs().sum(dim=(1, 2)).clamp_(min=torch.finfo(torch.float32).eps)
    return ((now - before).abs().sum(dim=(1, 2)) / size).max()
