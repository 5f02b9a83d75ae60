"""The benchmark of real architectures, on a few narrow blocks of each."""

from dataclasses import replace

import pytest
import torch

from bench.architectures import ARCHITECTURES, HEAD
from bench.real_size import arithmetic, measure, rows

# Blocks of text and picture in one sequence return the picture as a view, which keeps the text's tokens alive.
TEXT = {"flux.1-dev": 512, "hunyuan-video": 256}


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_every_architecture_is_measured_with_the_given_decisions(model: str) -> None:
    architecture = ARCHITECTURES[model]
    size = replace(architecture.size, width=64, height=32, frames=1, blocks=3, heads=1)
    measured = measure(architecture, size, steps=9, sf=3, max_skip=2)
    paper, covariance = measured.runs["paper"], measured.runs["covariance"]
    assert paper.decisions == "FFFPPFPPF"
    assert covariance.decisions.count("F") == 5 and len(covariance.decisions) == 9
    assert paper.by_steps == covariance.by_steps == 9 / 5
    for run in measured.runs.values():
        assert 0 < run.predicted_step < measured.full_step and run.full_step > 0
    assert measured.recording > 0
    last_block = (2 * size.tokens + TEXT.get(model, 0)) * HEAD * 4
    watched = 3 * (size.tokens * HEAD + 1) * 4
    assert size.tokens == 8 and paper.cache_bytes == len(architecture.streams) * (last_block + watched)
    values = architecture.inputs(size)["hidden_states"].numel()
    assert covariance.cache_bytes == values * 4 * (1 + 5 + 5) + values * 8, "first, outputs, their samples, indices"
    assert ("tokens × channels", "8 × 128") in rows(measured, 8, HEAD, 1.0)


@pytest.mark.parametrize(
    ("model", "tokens", "blocks", "channels"),
    [
        ("wan2.1-1.3b", 32_760, 30, 1536),
        ("wan2.1-14b", 32_760, 40, 5120),
        ("flux.1-dev", 4_080, 57, 3072),
        ("hunyuan-video", 67_320, 60, 3072),
    ],
)
def test_the_architectures_are_as_large_as_the_real_ones(model: str, tokens: int, blocks: int, channels: int) -> None:
    architecture = ARCHITECTURES[model]
    assert architecture.size.tokens == tokens
    with torch.device("meta"):
        transformer = architecture.transformer(architecture.size)
    config = transformer.config
    assert config.num_attention_heads * config.attention_head_dim == channels
    assert config.num_layers + getattr(config, "num_single_layers", 0) == blocks


def test_the_arithmetic_is_compared_with_the_plain_sum() -> None:
    assert arithmetic(64, 16, repeats=2) > 0
