"""How often videos show what prompts say, over many runs that may be interrupted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import prompt_following
from bench.prompt_following import FIRST_FRAME, Following, Prompt, Shown, agreement, measure, read_prompts
from demo.prompt_files import EMOJI, HELD_OUT
from tests.workers.micro_wan import micro_entry, save_micro_wan
from workers.engine.loaded import LoadedModel, load_model
from workers.media.png import read_png
from workers.models.catalogue import Catalogue, families

PROMPTS = [
    Prompt("red circle", {"colour": "red", "motion": "right", "shape": "circle", "background": "black"}),
    Prompt("circle", {"colour": "blue", "motion": "left", "shape": "circle", "background": "gray"}, "dim"),
]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("micro-wan")
    save_micro_wan(folder)
    entry = micro_entry(folder)
    return Catalogue({entry.name: entry}, families())


@pytest.fixture(scope="module")
def model(catalogue: Catalogue) -> LoadedModel:
    return load_model(catalogue.entry("micro-wan"), catalogue.family("micro-wan"))


def test_agreement_is_counted_by_attribute_and_first_frames_by_their_mean() -> None:
    right = {"colour": "red", "motion": "right", "shape": "circle"}
    runs = [Shown(right, {}, 30.0), Shown(right, {}, 20.0)]
    assert agreement(PROMPTS, runs, ["colour", "motion", "shape"]) == {
        "colour": 50.0, "motion": 50.0, "shape": 100.0, FIRST_FRAME: 25.0,
    }  # fmt: skip
    assert FIRST_FRAME not in agreement(PROMPTS[:1], [Shown(right, {}, None)], ["colour"])


def test_an_interrupted_measurement_goes_on_where_it_was(
    catalogue: Catalogue, model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    show = prompt_following.show

    def interrupted(*arguments: object) -> Shown:
        if len(shown) == 3:
            raise KeyboardInterrupt
        shown.append(arguments[1])
        return show(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prompt_following, "show", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(catalogue, model, PROMPTS, 4, tmp_path)
    monkeypatch.undo()
    kept = sorted(path.name for path in tmp_path.glob("*.json"))
    assert len(kept) == 3
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in kept}
    following = measure(catalogue, model, PROMPTS, 4, tmp_path)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in kept} == stamps
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.png"))) == 4
    assert list(following.agreement) == ["uncached", "sf=4"] and following.prompts == 2
    assert following.fingerprint == model.fingerprint and following.uncached_seconds["denoise"] > 0
    following.save(tmp_path / "result" / "following.json")
    assert Following.load(tmp_path / "result" / "following.json") == following


def test_what_was_kept_is_of_one_version_of_the_model(catalogue: Catalogue, model: LoadedModel, tmp_path: Path) -> None:
    measure(catalogue, model, PROMPTS[:1], 4, tmp_path)
    measure(catalogue, replace(model, version="another VAE"), PROMPTS[:1], 4, tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 4


def test_held_out_prompts_come_with_the_first_frames_of_their_clips() -> None:
    plain, animated = read_prompts(HELD_OUT), read_prompts(HELD_OUT, True)
    assert len(plain) == 60 and all(prompt.first_frame is None for prompt in plain)
    assert [prompt.text for prompt in animated] == [prompt.text for prompt in plain]
    assert all(prompt.first_frame is not None and prompt.first_frame.shape[-1] == 3 for prompt in animated)


def test_an_attribute_counts_for_the_prompts_that_say_something_of_it() -> None:
    prompts = [Prompt("red circle", {"colour": "red"}), Prompt("a rose", {"emoji": "rose"})]
    runs = [Shown({"colour": "red"}, {}, None), Shown({"emoji": "tulip"}, {}, None)]
    assert agreement(prompts, runs, ["colour", "emoji"]) == {"colour": 100.0, "emoji": 0.0}


def test_pictures_of_what_was_kept_are_ten_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_following, "_asked", lambda _catalogue, _model, prompt, _sf: prompt)
    monkeypatch.setattr(prompt_following, "_identity", lambda _model, prompt: prompt.text)
    prompts = [Prompt(f"{number}", {}) for number in range(12)]
    for number, prompt in enumerate(prompts):
        prompt_following.save_strip(np.full((1, 8, 8, 3), 20 * number, np.uint8), tmp_path / f"{prompt.text}.png")
    sheet = tmp_path / "sheet.png"
    prompt_following.save_pictures(None, None, prompts, 10, tmp_path, sheet)  # type: ignore[arg-type]
    shown = read_png(sheet)
    assert shown.shape == (16, 80, 3)
    assert [int(shown[4, 8 * place + 4, 0]) for place in (0, 9)] == [0, 180]
    assert [int(shown[12, 8 * place + 4, 0]) for place in (0, 1, 2)] == [200, 220, 255]


def test_prompts_of_emoji_ask_for_nothing_but_the_emoji() -> None:
    prompts = read_prompts(EMOJI)
    assert len(prompts) == 100 and all(list(prompt.shows) == ["emoji"] for prompt in prompts)
