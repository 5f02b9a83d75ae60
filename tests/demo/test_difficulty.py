"""Prompts that something is measured on are in words that the checkpoints know, and none was measured with before."""

from pathlib import Path

import pytest

from demo.training.emoji import is_held_out, phrase, taught
from demo.vocabulary import unknown_words
from workers.measurement.prompts import read_prompts

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "demo" / "prompts"


@pytest.mark.parametrize(
    ("name", "calibration", "model"),
    [
        ("bench.txt", "calibration.txt", "wan-tiny"),
        ("difficulty.txt", "calibration.txt", "wan-tiny"),
        ("bench_pictures.txt", "calibration_pictures.txt", "flux-tiny"),
    ],
)
def test_no_prompt_is_one_of_calibration_and_every_word_is_known(name: str, calibration: str, model: str) -> None:
    prompts, others = ([prompt.text for prompt in read_prompts(PROMPTS / file)] for file in (name, calibration))
    assert not set(others) & set(prompts)
    checkpoint = ROOT / "demo" / "checkpoints" / model
    assert {text: words for text in (*prompts, *others) if (words := unknown_words(checkpoint, text))} == {}


def test_training_never_had_emoji_of_the_bench_on_their_backgrounds_but_those_of_calibration() -> None:
    by_phrase = {phrase(each.name): each for each in taught()}
    for file, held_out in (("bench_pictures.txt", True), ("calibration_pictures.txt", False)):
        shown = [prompt.text.split(" on a ") for prompt in read_prompts(PROMPTS / file)]
        found = [is_held_out(by_phrase[said], rest.split()[0]) for said, rest in shown if said in by_phrase]
        assert found == [held_out] * len(found) and len(found) >= 4


def test_easy_and_hard_prompts_are_groups_of_equal_size_and_not_those_of_the_bench() -> None:
    prompts = read_prompts(PROMPTS / "difficulty.txt")
    groups = [prompt.group for prompt in prompts]
    assert groups == ["easy"] * 8 + ["hard"] * 8
    assert not {prompt.text for prompt in prompts} & {prompt.text for prompt in read_prompts(PROMPTS / "bench.txt")}
