"""Covariance files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.scalingcache.covariance import Covariance
from workers.scalingcache.measured import MeasuredCovariance, RunKind
from workers.scalingcache.priors import kernel

LEVELS = np.linspace(1.0, 0.1, 6)
KIND = RunKind("m", "f" * 32, 18, True, False)
MEASURED = MeasuredCovariance(
    KIND,
    Covariance(LEVELS, kernel(LEVELS, 2.0, 1e-3), energy=1.5, power=0.7, runs=3),
    {1: 0.4, 2: 0.3},
    {2: 31.5},
    {"date": "today"},
)


def stored(path: Path) -> dict[str, Any]:
    MEASURED.save(path)
    table: dict[str, Any] = json.loads(path.read_text())
    return table


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    read = MeasuredCovariance.parsed(stored(tmp_path / "m.json"))

    assert (read.kind, read.held_out, read.expected_snr) == (KIND, {1: 0.4, 2: 0.3}, {2: 31.5})
    assert read.covariance.matrix == pytest.approx(MEASURED.covariance.matrix, abs=1e-8)
    assert (read.covariance.energy, read.covariance.power, read.covariance.runs, read.steps) == (1.5, 0.7, 3, 6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 3}, "schema 3, a covariance file has 2"),
        ({"matrix": [[1.0]]}, "6 finite rows"),
        ({"sigmas": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, "sigmas must fall"),
        ({"matrix": (2 * np.tril(np.ones((6, 6)))).tolist()}, "symmetric"),
        ({"matrix": (-np.eye(6)).tolist()}, "no negative direction"),
        ({"energy": 0.0}, "energy 0.0 and power 0.7 must be > 0"),
        ({"runs": 0}, "runs 0 >= 1"),
        ({"prior_shares": {"8": 1.5}}, "must be from 0 to 1"),
        ({"prior_shares": {"8": float("nan")}}, "must be from 0 to 1"),
        ({"prior_shares": {"1": 0.5}}, "of 2 full steps or more"),
        ({"colours": [[0.1, 0.2]]}, "finite rows of 3"),
        ({"colours": [[0.1, 0.2, float("inf")]]}, "finite rows of 3"),
    ],
)
def test_a_file_that_cannot_be_one_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MeasuredCovariance.parsed(stored(tmp_path / "m.json") | changes)


def test_only_what_was_tried_plans_runs(tmp_path: Path) -> None:
    replace(MEASURED, prior_shares={2: 1.0, 4: 0.67}).save(tmp_path / "m.json")
    read = MeasuredCovariance.parsed(json.loads((tmp_path / "m.json").read_text()))
    assert read.prior_shares == {2: 1.0, 4: 0.67}
    assert [read.prior_share(count, LEVELS) for count in (2, 3, 4, 5)] == [1.0, None, 0.67, None]
    assert read.prior_share(4, np.linspace(1.0, 0.1, 12)) is None
    assert read.prior_share(4, LEVELS**2) is None


def test_where_none_was_tried_none_is_taken(tmp_path: Path) -> None:
    assert "prior_shares" not in stored(tmp_path / "m.json")
    assert MEASURED.prior_share(3, LEVELS) is None


def test_not_a_number_in_a_file_is_refused(tmp_path: Path) -> None:
    table = stored(tmp_path / "m.json")
    table["matrix"][2][3] = float("nan")
    with pytest.raises(ValueError, match="finite rows"):
        MeasuredCovariance.parsed(table)


def test_a_kind_of_runs_is_shown_in_a_few_words() -> None:
    assert KIND.shown() == "size class 18, with guidance"
    assert replace(KIND, guidance=False, input_reference=True).shown() == "size class 18, from an image"


def test_colours_of_previews_are_given_back_and_older_files_have_none(tmp_path: Path) -> None:
    assert MeasuredCovariance.parsed(stored(tmp_path / "m.json")).colours is None
    colours = np.linspace(-0.2, 0.9, 15).reshape(5, 3)
    read = MeasuredCovariance.parsed(json.loads(replace(MEASURED, colours=colours).text())).colours
    assert read == pytest.approx(colours, abs=1e-5)
