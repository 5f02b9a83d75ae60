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


@pytest.mark.parametrize("path", sorted(Path("alphas").glob("*-tiny*.json")), ids=lambda path: path.name)
def test_the_files_that_ship_are_read(path: Path) -> None:
    if "kind" in (table := json.loads(path.read_text())):
        assert MeasuredCovariance.parsed(table).covariance.runs == table["runs"]


def indefinite() -> list[list[float]]:
    matrix = np.eye(6)
    matrix[2, 3] = matrix[3, 2] = 2.0
    return matrix.tolist()


def without(step: int) -> list[list[float]]:
    matrix = 1.2 * np.eye(6)
    matrix[step, step] = 0.0
    return matrix.tolist()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 3}, "schema 3, a covariance file has 2"),
        ({"matrix": [[1.0]]}, "matrix has 1 rows, and must have 6"),
        ({"matrix": [[1.0]] * 6}, "matrix: row 0, .* must be a list of 6 numbers"),
        ({"matrix": 1.0}, "matrix 1.0 must be a list"),
        ({"matrix": np.zeros((6, 6)).tolist()}, "matrix at row 0, column 0: 0 must be above 0"),
        ({"matrix": without(4)}, "matrix at row 4, column 4: 0 must be above 0"),
        ({"matrix": (-np.eye(6)).tolist()}, "matrix at row 0, column 0: -1 must be above 0"),
        ({"matrix": (1.002 * np.eye(6)).tolist()}, "matrix has a diagonal of mean 1.002, which must be 1"),
        ({"matrix": (1e300 * np.eye(6)).tolist()}, "matrix at row 0, column 0: .* must be a number from -12 to 12"),
        ({"matrix": (np.tril(np.ones((6, 6)))).tolist()}, "symmetric"),
        ({"matrix": indefinite()}, "no negative direction"),
        ({"sigmas": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, "sigmas must fall from step to step; after 0.1 comes 0.2"),
        ({"sigmas": [0.9, 0.8, 0.8, 0.4, 0.3, 0.1]}, "after 0.8 comes 0.8"),
        ({"sigmas": [14.6, 0.8, 0.6, 0.4, 0.3, 0.1]}, "sigmas at 0: 14.6 must be a number from -1e-06 to 1"),
        ({"sigmas": [0.9, 0.8, 0.6, 0.4, 0.3, -0.1]}, "sigmas at 5: -0.1 must be a number"),
        ({"sigmas": [[0.9, 0.8]]}, "sigmas at 0: .* must be a number"),
        ({"sigmas": "0.9"}, "sigmas '0.9' must be a list"),
        ({"sigmas": [], "matrix": []}, "sigmas has 0 noise levels, and must have 2 or more"),
        ({"sigmas": [1.0], "matrix": [[1.0]]}, "sigmas has 1 noise levels, and must have 2 or more"),
        ({"prior_shares": {"8": 1.5}}, "prior_shares.8 1.5 must be a number from 0 to 1"),
        ({"prior_shares": {"8": float("nan")}}, "must be a number from 0 to 1"),
        ({"prior_shares": {"1": 0.5}}, "prior_shares: the name '1' must be a whole number of 2 or more"),
        ({"held_out": {"1": float("nan")}}, "held_out.1 nan must be a finite number"),
        ({"held_out": {"one": 1.0}}, "held_out: the name 'one' must be a whole number of 1 or more"),
        ({"expected_snr": {"2": None}}, "expected_snr.2 None must be a finite number"),
        ({"expected_snr": []}, r"expected_snr \[\] must be a JSON object"),
        ({"provenance": {"date": 2026}}, "provenance.date 2026 must be text"),
        ({"colours": [[0.1, 0.2]]}, "colours: row 0, .* must be a list of 3 numbers"),
        ({"colours": [[0.1, 0.2, float("inf")]]}, "colours at row 0, column 2: inf must be a finite number"),
        ({"kind": "flux"}, "kind 'flux' must be a JSON object"),
    ],
)
def test_a_file_that_cannot_be_one_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MeasuredCovariance.parsed(stored(tmp_path / "m.json") | changes)


NUMBERS = [float("nan"), float("inf"), None, "1", [1.0], True, 10**400]


@pytest.mark.parametrize("found", [0.0, -1.0, 1e-13, 1e13, *NUMBERS])
@pytest.mark.parametrize("field", ["energy", "power"])
def test_mean_squares_are_numbers_that_a_model_can_have(tmp_path: Path, field: str, found: object) -> None:
    with pytest.raises(ValueError, match=rf"^{field} .* must be a number from 1e-12 to 1e\+12$") as error:
        MeasuredCovariance.parsed(stored(tmp_path / "m.json") | {field: found})
    assert len(str(error.value)) < 120


@pytest.mark.parametrize("found", [0, 1.5, 1.0, 10**6 + 1, *NUMBERS])
def test_runs_are_a_whole_number(tmp_path: Path, found: object) -> None:
    with pytest.raises(ValueError, match=r"^runs .* must be a whole number from 1 to 1000000$"):
        MeasuredCovariance.parsed(stored(tmp_path / "m.json") | {"runs": found})


@pytest.mark.parametrize("found", NUMBERS)
def test_what_is_no_number_is_refused_wherever_one_stands(tmp_path: Path, found: object) -> None:
    table = stored(tmp_path / "m.json")
    table["matrix"][2][3] = found
    with pytest.raises(ValueError, match=r"^matrix at row 2, column 3: .* must be a number from -12 to 12"):
        MeasuredCovariance.parsed(table)
    with pytest.raises(ValueError, match=r"^sigmas at 1: .* must be a number"):
        MeasuredCovariance.parsed(table | {"sigmas": [1.0, found, 0.5, 0.4, 0.3, 0.1]})


@pytest.mark.parametrize(
    "field", ["kind", "runs", "energy", "power", "sigmas", "held_out", "expected_snr", "provenance", "matrix"]
)
def test_a_field_that_is_missing_is_named(tmp_path: Path, field: str) -> None:
    table = stored(tmp_path / "m.json")
    del table[field]
    with pytest.raises(ValueError, match=f"^{field} is missing$"):
        MeasuredCovariance.parsed(table)


@pytest.mark.parametrize(
    ("field", "found", "words"),
    [
        ("model", 3, "kind.model 3 must be text"),
        ("fingerprint", None, "kind.fingerprint None must be text"),
        ("size_class", 17.5, "kind.size_class 17.5 must be a whole number from 0 to 64"),
        ("size_class", True, "kind.size_class True must be a whole number"),
        ("guidance", 1, "kind.guidance 1 must be true or false"),
        ("input_reference", "no", "kind.input_reference 'no' must be true or false"),
        ("steps", 50, "'kind.steps' is unknown; fields are kind.model, kind.fingerprint, kind.size_class"),
    ],
)
def test_the_kind_of_runs_is_of_the_right_types(tmp_path: Path, field: str, found: object, words: str) -> None:
    table = stored(tmp_path / "m.json")
    table["kind"][field] = found
    with pytest.raises(ValueError, match=words):
        MeasuredCovariance.parsed(table)


def test_a_part_of_the_kind_that_is_missing_is_named(tmp_path: Path) -> None:
    table = stored(tmp_path / "m.json")
    del table["kind"]["guidance"]
    with pytest.raises(ValueError, match=r"^kind\.guidance is missing$"):
        MeasuredCovariance.parsed(table)


def test_a_noise_level_may_be_outside_by_a_rounding(tmp_path: Path) -> None:
    levels = [1.0 + 5e-7, 0.8, 0.6, 0.4, 0.2, -5e-7]
    assert MeasuredCovariance.parsed(stored(tmp_path / "m.json") | {"sigmas": levels}).steps == 6


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


def test_a_kind_of_runs_is_shown_in_a_few_words() -> None:
    assert KIND.shown() == "size class 18, with guidance"
    assert replace(KIND, guidance=False, input_reference=True).shown() == "size class 18, from an image"


def test_colours_of_previews_are_given_back_and_older_files_have_none(tmp_path: Path) -> None:
    assert MeasuredCovariance.parsed(stored(tmp_path / "m.json")).colours is None
    colours = np.linspace(-0.2, 0.9, 15).reshape(5, 3)
    read = MeasuredCovariance.parsed(json.loads(replace(MEASURED, colours=colours).text())).colours
    assert read == pytest.approx(colours, abs=1e-5)
