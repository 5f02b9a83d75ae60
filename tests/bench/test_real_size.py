"""The benchmark of real architectures, on a few narrow blocks of each."""

from dataclasses import replace

import pytest
import torch

from bench.real_size import page
from bench.real_size.__main__ import DBCACHE, measure, rows
from bench.real_size.architectures import ARCHITECTURES, HEAD
from bench.real_size.methods import Rule, arithmetic
from workers.jobs.errors import InvalidRequest

# Blocks of text and picture in one sequence return the picture as a view, which keeps the text's tokens alive.
TEXT = {"flux.1-dev": 512, "hunyuan-video": 256}


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_every_architecture_is_measured_with_the_given_decisions(model: str) -> None:
    architecture = ARCHITECTURES[model]
    size = replace(architecture.size, width=64, height=32, frames=1, blocks=3, heads=1)
    measured = measure(architecture, size, Rule(steps=9, sf=3, max_skip=2))
    paper, covariance = measured.runs["paper"], measured.runs["ours"]
    taylorseer, cache_dit = measured.runs["TaylorSeer (diffusers)"], measured.runs["DBCache + Taylor (cache-dit)"]
    assert paper.decisions == cache_dit.decisions == "FFFPPFPPF"
    assert taylorseer.decisions == "FFFPFPPFP", "it counts from the first step, and knows of no last one"
    assert covariance.decisions.count("F") == 5 and len(covariance.decisions) == 9
    assert paper.by_steps == covariance.by_steps == 9 / 5
    for run in measured.runs.values():
        assert run.predicted_step > 0 and run.full_step > 0
    assert measured.recording > 0
    last_block = (2 * size.tokens + TEXT.get(model, 0)) * HEAD * 4
    watched = 3 * (size.tokens * HEAD + 2) * 4  # and two norms of them
    assert size.tokens == 8 and paper.cache_bytes == len(architecture.streams) * (last_block + watched)
    values = architecture.inputs(size)["hidden_states"].numel()
    assert covariance.cache_bytes == values * 4 * (1 + 5 + 5) + values * 8, "first, outputs, their samples, indices"
    assert [row[0] for row in rows(measured)] == ["none", *measured.runs]


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


@pytest.mark.parametrize(("model", "blocks"), [("wan2.1-1.3b", 1), ("flux.1-dev", 1), ("hunyuan-video", 2)])
def test_a_method_that_needs_more_blocks_is_left_out_with_the_reason(model: str, blocks: int) -> None:
    architecture = ARCHITECTURES[model]
    size = architecture.resized(width=32, height=32, frames=1, blocks=blocks, heads=1)
    measured = measure(architecture, size, Rule(steps=4, sf=2, max_skip=1))
    assert [run.decisions for run in measured.runs.values()] == ["FFPF"] * 3, "the fewest steps that are taken"
    assert rows(measured)[-1][:2] == (DBCACHE, f"left out: it needs {blocks + 1} blocks or more")


@pytest.mark.parametrize("model", ARCHITECTURES)
def test_the_fewest_blocks_with_which_no_method_is_left_out(model: str) -> None:
    architecture = ARCHITECTURES[model]
    size = architecture.resized(width=32, height=32, frames=1, blocks=architecture.dbcache_blocks, heads=1)
    assert measure(architecture, size, Rule(steps=4, sf=2, max_skip=1)).runs[DBCACHE].decisions == "FFPF"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"width": 130}, "--width 130 must be a multiple of 16 above 0"),
        ({"height": 127}, "--height 127 must be a multiple of 16 above 0"),
        ({"height": 0}, "--height 0 must be"),
        ({"frames": 4}, "--frames 4 must be 4k.1: 1, 5, 9"),
        ({"blocks": 0}, "--blocks 0 must be between 1 and 30"),
        ({"blocks": 31}, "--blocks 31 must be between 1 and 30"),
        ({"heads": 13}, "--heads 13 must be between 1 and 12"),
    ],
)
def test_a_size_that_the_model_cannot_have_is_refused(wanted: dict[str, int], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        ARCHITECTURES["wan2.1-1.3b"].resized(**wanted)


def test_a_model_of_images_has_one_frame() -> None:
    with pytest.raises(InvalidRequest, match="--frames 5 must be 1"):
        ARCHITECTURES["flux.1-dev"].resized(frames=5)


def test_the_arithmetic_is_compared_with_the_plain_sum() -> None:
    assert arithmetic(64, 16, repeats=2) > 0


def test_the_table_of_a_page_is_replaced_and_nothing_else() -> None:
    before = f"above\n{page.BEGINNING}\nNot measured yet.\n{page.END}\nbelow\n"
    once = page.with_table(before, "made by", ["| m | none | 1 ms |"])
    assert once.startswith("above\n") and once.endswith("\nbelow\n")
    assert "made by" in once and "| m | none | 1 ms |" in once and "Not measured" not in once
    assert page.with_table(once, "made by", ["| m | none | 1 ms |"]) == once


def test_a_page_without_the_table_s_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="bench-gpu"):
        page.with_table("above\nbelow\n", "made by", [])


def test_models_that_could_not_be_measured_are_named() -> None:
    assert "Could not be measured: wan2.1-14b." in page.caption("cpu", "float32", "--blocks 1", ["wan2.1-14b"])
