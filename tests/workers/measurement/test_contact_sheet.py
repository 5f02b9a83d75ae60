from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.measurement.contact_sheet import AMPLIFIED, Row, compared, save_contact_sheet, text_lines
from workers.measurement.fidelity import Video

PROMPT = "a red circle moves to the right on a black background, in warm light, as slowly as it can"


def video(value: int, frames: int = 1, height: int = 40, width: int = 30) -> Video:
    """Of one shade of magenta: text is gray."""
    return np.full((frames, height, width, 3), value, np.uint8) * np.array([1, 0, 1], np.uint8)


def written(folder: Path, heading: str, rows: list[Row]) -> np.ndarray:
    save_contact_sheet(folder / "sheets" / "sheet.png", heading, rows)
    with Image.open(folder / "sheets" / "sheet.png") as sheet:
        return np.asarray(sheet.convert("RGB"))


def rows_with(sheet: np.ndarray, value: int) -> np.ndarray:
    """Numbers of the sheet's rows that show this shade."""
    return np.nonzero(shows(sheet, value).any(1))[0]


def shows(sheet: np.ndarray, value: int) -> np.ndarray:
    """Which pixels have this shade, [height, width]."""
    return (sheet == [value, 0, value]).all(-1)


@pytest.mark.parametrize("width", [60.0, 200.0, 5000.0])
def test_all_of_a_text_is_in_lines_that_fit(width: float) -> None:
    lines = text_lines(f"{PROMPT}\nand Donaudampfschifffahrtsgesellschaft", width)
    assert "".join(lines).replace(" ", "") == f"{PROMPT}andDonaudampfschifffahrtsgesellschaft".replace(" ", "")
    for line in lines:
        assert text_lines(line, width) == [line]


def test_nothing_to_say_takes_no_line() -> None:
    assert text_lines(" \n", 100.0) == []


def test_pictures_are_shown_at_twice_their_size_first_and_last_among_them(tmp_path: Path) -> None:
    moving = np.concatenate([video(value) for value in range(50, 61)])
    sheet = written(tmp_path, PROMPT, [Row("uncached", moving)])
    shown = {value for value in range(50, 61) if len(rows_with(sheet, value))}
    assert shown == {50, 52, 54, 56, 58, 60}
    assert len(rows_with(sheet, 50)) == 80
    assert shows(sheet, 50).sum() == shows(sheet, 60).sum() == 80 * 60


def test_what_is_too_high_for_a_sheet_is_made_smaller(tmp_path: Path) -> None:
    sheet = written(tmp_path, PROMPT, [Row("large", video(77, 6, height=960, width=1280))])
    assert len(rows_with(sheet, 77)) == 288 and sheet.shape[1] < 6 * 288 * 4 // 3 + 100


def test_the_text_above_one_small_picture_ends_within_the_sheet(tmp_path: Path) -> None:
    titles = [f"{PROMPT} {PROMPT}", "sf=10: " + "0123456789" * 20]
    sheet = written(tmp_path, PROMPT * 3, [Row(title, video(77)) for title in titles])
    dark = (sheet < 60).all(-1)
    assert dark.any() and not dark[:, -4:].any() and not dark[-4:].any()
    words_alone = written(tmp_path, "", [Row("", video(77)), Row("", video(77))])
    lines = sum(len(text_lines(text, 640 - 16)) for text in (PROMPT * 3, *titles))
    assert len(sheet) == len(words_alone) + 26 * lines


def test_under_each_video_but_the_first_is_how_it_differs_amplified(tmp_path: Path) -> None:
    rows = [Row("uncached", video(100)), Row("sf=10", video(97)), Row("sf=4", video(180))]
    first, *others = compared(rows)
    assert first is rows[0] and [others[0], others[2]] == rows[1:]
    assert AMPLIFIED == 8 and f"{AMPLIFIED} times" in others[1].title
    assert np.array_equal(others[1].video, video(24)) and np.array_equal(others[3].video, video(255))
    sheet = written(tmp_path, PROMPT, compared(rows))
    places = [rows_with(sheet, value)[0] for value in (100, 97, 24, 180)]
    assert places == sorted(places)
