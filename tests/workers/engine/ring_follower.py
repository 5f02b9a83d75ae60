"""A rank whose `_native_flash` attention, of which ring attention can be built, runs on a CPU.

`python -m tests.workers.engine.ring_follower` is a follower with it. In a run of `HANGS` steps the third rank lives,
beats, and does not come to the end of a stage; in that run, and in no other, ranks are as impatient as `SECONDS` says.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from workers.engine import follower
from workers.engine.follower import Follower
from workers.parallel import pulse
from workers.parallel.world import World

HANGS = 5
SECONDS = 3.0


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


class _Hanging(Follower):
    def _generate(self, command: dict[str, Any]) -> None:
        if command["request"]["steps"] != HANGS:
            super()._generate(command)
            return
        agree = _never if self._seat.rank == 2 else World.agree
        with patch.object(pulse, "SILENT_SECONDS", SECONDS), patch.object(World, "agree", agree):
            super()._generate(command)


def _never(_world: World, _go: bool, _state: Sequence[int]) -> bool:
    threading.Event().wait()
    return False


if __name__ == "__main__":
    with flash_attention_on_a_cpu(), patch.object(follower, "Follower", _Hanging):
        follower.main()
