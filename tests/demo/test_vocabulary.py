import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from demo.__main__ import console, warn_of_unknown_words
from demo.vocabulary import unknown_words, warnings

ROOT = Path(__file__).parents[2]
CHECKPOINTS = sorted((ROOT / "demo" / "checkpoints").iterdir())
KNOWN = "A red circle moves to the right on a black background, in warm light."


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: path.name)
def test_a_demo_checkpoint_knows_its_words_in_any_case_and_misses_others(checkpoint: Path) -> None:
    assert unknown_words(checkpoint, KNOWN) == {}
    missed = unknown_words(checkpoint, "Three tiny squres, and a blue xylophone!?")
    assert list(missed) == ["Three", "tiny", "squres", "xylophone"]
    assert "square" in missed["squres"] and missed["tiny"] == missed["xylophone"] == []


def test_words_are_known_when_every_tokenizer_of_the_checkpoint_knows_them(tmp_path: Path) -> None:
    for name, words in (("tokenizer", ["<unk>", "red", "round"]), ("tokenizer_2", ["<unk>", "red", "rod"])):
        made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        (tmp_path / name).mkdir()
        made.save(str(tmp_path / name / "tokenizer.json"))
    assert unknown_words(tmp_path, "red round, read") == {"read": ["red"], "round": []}


def test_a_tokenizer_that_spells_words_misses_only_what_it_cannot_spell(tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("r", -1.0), ("e", -1.0), ("d", -1.0), (" ", -1.0)]
    (tmp_path / "tokenizer").mkdir()
    Tokenizer(models.Unigram(pieces, unk_id=0)).save(str(tmp_path / "tokenizer" / "tokenizer.json"))
    assert unknown_words(tmp_path, "red deer") == {}
    assert list(unknown_words(tmp_path, "red 犬")) == ["犬"]


def test_of_a_checkpoint_that_is_not_here_nothing_is_said() -> None:
    assert unknown_words(Path("Wan-AI/Wan2.1-T2V-1.3B-Diffusers"), "xylophone") == {}


def test_a_word_with_nothing_near_it_leads_to_the_card() -> None:
    near, far = warnings("wan-tiny", CHECKPOINTS[-1], "a blu xylophone", 64)
    assert near == "wan-tiny was never taught the word 'blu': near it are blue"
    assert far.startswith("wan-tiny was never taught the word 'xylophone': ") and "wan-tiny/README.md says" in far


def test_a_colour_leads_to_those_that_look_like_it_and_a_symbol_to_its_name(tmp_path: Path) -> None:
    words = ["<unk>", "a", "red", "yellow", "blue", "magenta", "wink", "triangle", "apple"]
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    (tmp_path / "tokenizer").mkdir()
    made.save(str(tmp_path / "tokenizer" / "tokenizer.json"))
    near = unknown_words(tmp_path, "a orange, pink \N{RED APPLE} \N{OCTOPUS}!")
    assert near["orange"][:2] == ["yellow", "red"] and near["pink"][0] == "magenta" and "wink" not in near["pink"]
    assert near["\N{RED APPLE}"] == ["red apple"] and near["\N{OCTOPUS}"] == []


def test_what_is_beyond_the_tokens_that_are_read_is_told() -> None:
    [line] = warnings("flux-tiny", ROOT / "demo/checkpoints/flux-tiny", "a red circle " * 20, 32)
    assert line == "flux-tiny reads 32 tokens of a prompt, and this one has 61: the last ones are not read"


def test_the_demo_says_which_words_mean_nothing_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with console.capture() as printed:
        warn_of_unknown_words("flux-tiny", "a grene [bold]xylophone")
    assert "'grene': near it are green" in printed.get()
    with console.capture() as printed:
        warn_of_unknown_words("flux-tiny", KNOWN)
    assert printed.get() == ""


def test_a_model_that_does_not_exist_is_refused_before_anything_starts() -> None:
    command = [sys.executable, "-m", "demo", "run", "--model", "wan-huge"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "wan-huge" in done.stdout and "starting" not in done.stdout
