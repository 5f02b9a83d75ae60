"""A rank whose `_native_flash` attention, of which ring attention can be built, runs on a CPU.

`python -m tests.workers.engine.ring_follower` is a follower with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from workers.engine import follower


@contextmanager
def flash_attention_on_a_cpu() -> Iterator[None]:
    with patch("diffusers.models.attention_dispatch._native_flash_attention_forward_op", _forward):
        yield


def _forward(_ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *rest: Any, **_: Any) -> Any:
    """`[batch, tokens, heads, channels]`, and the log-sum-exp `[batch, tokens, heads]`."""
    assert mask is None
    _dropout, _causal, scale, _gqa, return_lse = rest
    query, key, value = (each.transpose(1, 2) for each in (query, key, value))
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, scale=scale)
    output = output.transpose(1, 2)
    return (output, lse.transpose(1, 2)) if return_lse else output


if __name__ == "__main__":
    with flash_attention_on_a_cpu():
        follower.main()
