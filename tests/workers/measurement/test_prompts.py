"""Prompt files in the formats that people have."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.workers.factories import a_request
from workers.jobs.errors import InvalidRequest
from workers.measurement.prompts import Prompt, read_prompts


def written(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_a_plain_file_has_one_prompt_a_line_and_headings_for_groups(tmp_path: Path) -> None:
    path = written(tmp_path, "p.txt", "a\n\n# a remark\n# group: slow scenes\n b \n#group:fast\nc, d\n")
    assert read_prompts(path) == [Prompt("a"), Prompt("b", "slow scenes"), Prompt("c, d", "fast")]
    assert read_prompts(path, limit=1) == [Prompt("a")]


def test_vbench_lists_prompts_with_their_dimensions(tmp_path: Path) -> None:
    rows = [
        {"prompt_en": "a person", "dimension": ["human_action", "x"], "auxiliary_info": {}},
        {"prompt_en": "a bird"},
    ]
    path = written(tmp_path, "VBench_full_info.json", json.dumps(rows))
    assert read_prompts(path) == [Prompt("a person", "human_action"), Prompt("a bird")]


def test_drawbench_has_columns_for_prompt_and_category(tmp_path: Path) -> None:
    content = '\ufeffPrompts,Category\n"A red car, and a sheep.",Colors\n"Two\nlines",Text\nplain,\n'
    path = written(tmp_path, "drawbench.csv", content)
    assert read_prompts(path) == [
        Prompt("A red car, and a sheep.", "Colors"), Prompt("Two\nlines", "Text"), Prompt("plain"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.txt", "# nothing\n\n", "has no prompts"),
        ("p.json", "[]", "has no prompts"),
        ("p.json", "{not json", "not a prompt file"),
        ("p.json", '["a prompt"]', "not a prompt file"),
        ("p.json", '[{"prompt": "a"}]', "prompt_en"),
        ("p.csv", "text\na\n", "Prompts"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_refused_by_name(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InvalidRequest, match=words) as error:
        read_prompts(path)
    assert str(path) in str(error.value)


def test_a_line_may_name_the_image_of_its_first_frame(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "red").save(tmp_path / "frame.png")
    path = written(tmp_path, "p.txt", "a\tframe.png\nb\n")
    animated, plain = read_prompts(path)
    assert (animated, plain) == (Prompt("a", image=tmp_path / "frame.png"), Prompt("b"))
    assert animated.reference == hashlib.sha256((tmp_path / "frame.png").read_bytes()).hexdigest()
    picture = animated.picture(a_request())
    assert picture is not None and (picture.size, picture.getpixel((0, 0))) == ((96, 96), (255, 0, 0))
    assert (plain.reference, plain.picture(a_request())) == (None, None)


def test_an_image_that_is_missing_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"there is no image .*frame\.png"):
        read_prompts(written(tmp_path, "p.txt", "a\tframe.png\n"))
