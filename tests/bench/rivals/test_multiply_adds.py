"""What is counted is what torch's own counter counts, within the blocks and nothing else."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.rivals.multiply_adds import counted
from tests.bench.rivals.micros import MICRO, Micro
from workers.engine.generation import run_pipeline
from workers.engine.plan import plan_run


@pytest.mark.parametrize("family", MICRO)
def test_the_count_in_all_blocks_is_half_of_the_floating_point_operations(
    micros: dict[str, Micro], family: str
) -> None:
    micro = micros[family]
    transformer = micro.model.pipeline.transformer
    blocks = micro.model.family.layout().blocks(transformer)
    request = micro.case.request.model_copy(update={"steps": 2})
    # Fused attention on the CPU is one operator, which torch's counter does not know.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as known, counted(blocks) as ours:
        run_pipeline(micro.model, plan_run(micro.model, request), None)
    named = {id(module): name for name, module in transformer.named_modules()}
    flops = known.get_flop_counts()
    theirs = sum(sum(flops[f"{type(transformer).__name__}.{named[id(block)]}"].values()) for block in blocks)
    assert ours.total == theirs // 2 > 0


def test_what_runs_outside_the_blocks_or_is_left_out_of_them_counts_nothing() -> None:
    inside, outside = nn.Linear(3, 5), nn.Linear(3, 7)
    with torch.no_grad(), counted([inside]) as counter:
        outside(torch.zeros(2, 3))
        assert counter.total == 0
        inside(torch.zeros(2, 3))
        assert counter.total == 2 * 3 * 5
    inside(torch.zeros(2, 3))
    assert counter.total == 2 * 3 * 5


def test_a_block_that_fails_does_not_leave_the_counter_on() -> None:
    block = nn.Linear(3, 5)
    with counted([block]) as counter:
        with pytest.raises(RuntimeError):
            block(torch.zeros(2, 4))
        nn.Linear(3, 5)(torch.zeros(2, 3))
    assert counter.total == 0
