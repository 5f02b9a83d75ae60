"""Prompts that something is measured on are in words that the checkpoints know, and none was measured with before."""

from pathlib import Path

import pytest

from demo.vocabulary import unknown_words
from workers.measurement.prompts import read_prompts

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "demo" / "prompts"


@pytest.mark.parametrize("name", ["bench.txt", "difficulty.txt"])
def test_no_prompt_is_one_of_calibration_and_every_word_is_known(name: str) -> None:
    prompts = [prompt.text for prompt in read_prompts(PROMPTS / name)]
    calibration = {prompt.text for prompt in read_prompts(PROMPTS / "calibration.txt")}
    assert not calibration & set(prompts)
    checkpoint = ROOT / "demo" / "checkpoints" / "wan-tiny"
    assert {text: words for text in prompts if (words := unknown_words(checkpoint, text))} == {}


def test_easy_and_hard_prompts_are_groups_of_equal_size_and_not_those_of_the_bench() -> None:
    prompts = read_prompts(PROMPTS / "difficulty.txt")
    groups = [prompt.group for prompt in prompts]
    assert groups == ["easy"] * 8 + ["hard"] * 8
    assert not {prompt.text for prompt in prompts} & {prompt.text for prompt in read_prompts(PROMPTS / "bench.txt")}
