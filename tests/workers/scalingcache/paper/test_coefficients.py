"""Files of the paper's coefficients."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from workers.scalingcache.fields import read_table
from workers.scalingcache.paper.coefficients import CoefficientKey, Coefficients

STEPS, BLOCKS = 20, 2


def coefficients() -> Coefficients:
    key = CoefficientKey("tiny", "abc", {"class": "UniPC", "flow_shift": 1.0}, STEPS, 18, True)
    return Coefficients(
        key=key,
        alpha=torch.linspace(0.01, 1.99, STEPS * BLOCKS, dtype=torch.float64).reshape(STEPS, BLOCKS),
        spread=torch.zeros(STEPS, BLOCKS, dtype=torch.float64),
        kappa=2.5,
        max_skip=6,
        final_full_steps=1,
        estimator="pooled",
        prompts=2,
        seeds=3,
        convergence=[(1, 0.1), (6, 0.0)],
        expected_full_steps={10: 20.0},
        expected_full_steps_kappa_1={10: 48.0},
        relative_change=[0.1] * STEPS,
        prediction_error=[0.2] * (STEPS - 2),
        provenance={"command": "calibrate"},
    )


def stored(folder: Path) -> dict[str, Any]:
    coefficients().save(folder / "tiny.json")
    return read_table(folder / "tiny.json")


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written, read = coefficients(), Coefficients.parsed(stored(tmp_path))
    assert torch.allclose(read.alpha, written.alpha, atol=1e-5)
    assert (read.key, read.kappa, read.expected_full_steps) == (written.key, written.kappa, {10: 20.0})
    assert (read.convergence, read.provenance) == (written.convergence, written.provenance)
    assert read.key.difference(written.key) is None


def test_a_file_that_was_written_before_a_field_got_its_name_is_read(tmp_path: Path) -> None:
    table = stored(tmp_path)
    table["expected_full_steps_literal"] = table.pop("expected_full_steps_kappa_1")
    del table["key"]["input_reference"], table["groups"]
    assert Coefficients.parsed(table).expected_full_steps_kappa_1 == {10: 48.0}


@pytest.mark.parametrize("path", sorted(Path("alphas").glob("*.paper.json")), ids=lambda path: path.name)
def test_the_files_that_ship_are_read(path: Path) -> None:
    table = read_table(path)
    assert Coefficients.parsed(table).kappa == table["kappa"]


NUMBERS = [float("nan"), float("inf"), None, "1", [1.0], True, 10**400]


@pytest.mark.parametrize("found", [0, -1.0, *NUMBERS])
def test_kappa_is_a_finite_number_above_0(tmp_path: Path, found: object) -> None:
    with pytest.raises(ValueError, match=r"^kappa .* must be a finite number above 0$") as error:
        Coefficients.parsed(stored(tmp_path) | {"kappa": found})
    assert len(str(error.value)) < 120


@pytest.mark.parametrize(("field", "least"), [("max_skip", 1), ("final_full_steps", 0), ("prompts", 1), ("seeds", 1)])
def test_counts_are_whole_numbers_from_the_least_that_the_rule_takes(tmp_path: Path, field: str, least: int) -> None:
    for found in (least - 1, 1.5, 1.0, *NUMBERS[:-1]):
        with pytest.raises(ValueError, match=rf"^{field} .* must be a whole number of {least} or more"):
            Coefficients.parsed(stored(tmp_path) | {field: found})
    assert getattr(Coefficients.parsed(stored(tmp_path) | {field: least}), field) == least


@pytest.mark.parametrize("found", [0.009, 2.0, -0.5, 1e300])
def test_alpha_is_in_the_range_that_it_is_measured_in_where_it_is_used(tmp_path: Path, found: float) -> None:
    table = stored(tmp_path)
    table["alpha"][1][1] = 0.0
    Coefficients.parsed(table)
    table["alpha"][7][1] = found
    with pytest.raises(ValueError, match=r"^alpha at row 7, column 1: .* must be a number from 0.01 to 1.99"):
        Coefficients.parsed(table)


@pytest.mark.parametrize("found", NUMBERS)
@pytest.mark.parametrize("field", ["alpha", "spread"])
def test_tables_are_of_finite_numbers(tmp_path: Path, field: str, found: object) -> None:
    table = stored(tmp_path)
    table[field][0][1] = found
    with pytest.raises(ValueError, match=rf"^{field} at row 0, column 1: .* must be a finite number"):
        Coefficients.parsed(table)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 99}, "schema 99, a file of the paper's coefficients has 1"),
        ({"alpha": [[1.0, 1.0]] * (STEPS - 1)}, "alpha has 19 rows, and must have 20"),
        ({"alpha": [[1.0, 1.0]] * (STEPS - 1) + [[1.0]]}, "alpha: row 19, .* must be a list of 2 numbers"),
        ({"alpha": [[]] * STEPS}, "alpha: row 0, .* must be a list of 1 numbers"),
        ({"alpha": 0.9}, "alpha 0.9 must be a list"),
        ({"spread": [[0.0]] * STEPS}, "spread: row 0, .* must be a list of 2 numbers"),
        ({"key": None}, "key None must be a JSON object"),
        ({"estimator": 3}, "estimator 3 must be text"),
        ({"expected_full_steps": {"x": 1.0}}, "expected_full_steps: the name 'x' must be a whole number of 2 or more"),
        ({"expected_full_steps": {"10": None}}, "expected_full_steps.10 None must be a finite number"),
        ({"convergence": [3]}, "convergence: row 0, 3 must be a list of 2 numbers"),
        ({"provenance": {"date": 3}}, "provenance.date 3 must be text"),
        ({"kapa": 1.0}, "'kapa' is unknown"),
    ],
)
def test_a_file_that_cannot_be_one_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Coefficients.parsed(stored(tmp_path) | changes)


@pytest.mark.parametrize("field", ["key", "alpha", "kappa", "max_skip", "final_full_steps", "convergence"])
def test_a_field_that_is_missing_is_named(tmp_path: Path, field: str) -> None:
    table = stored(tmp_path)
    del table[field]
    with pytest.raises(ValueError, match=f"^{field} is missing$"):
        Coefficients.parsed(table)


@pytest.mark.parametrize(
    ("field", "found", "words"),
    [
        ("model", 3, "key.model 3 must be text"),
        ("fingerprint", None, "key.fingerprint None must be text"),
        ("scheduler", [], "key.scheduler .* must be a JSON object"),
        ("steps", 0, "key.steps 0 must be a whole number of 1 or more"),
        ("size_class", 17.5, "key.size_class 17.5 must be a whole number"),
        ("guidance", 1, "key.guidance 1 must be true or false"),
        ("input_reference", "no", "key.input_reference 'no' must be true or false"),
        ("shift", 1.0, "'key.shift' is unknown"),
    ],
)
def test_what_it_was_measured_on_is_of_the_right_types(tmp_path: Path, field: str, found: object, words: str) -> None:
    table = stored(tmp_path)
    table["key"][field] = found
    with pytest.raises(ValueError, match=words):
        Coefficients.parsed(table)


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", "other"), ("fingerprint", "x"), ("steps", 30), ("size_class", 19), ("guidance", False)],
)
def test_a_key_names_the_first_thing_that_differs(field: str, value: object) -> None:
    key = coefficients().key
    difference = key.difference(replace(key, **{field: value}))
    assert difference is not None and field in difference and repr(value) in difference


def test_a_key_names_the_scheduler_s_setting_that_differs_and_both_values() -> None:
    key = coefficients().key
    other = replace(key, scheduler=key.scheduler | {"flow_shift": 3.0})
    assert key.difference(other) == "scheduler flow_shift: measured on 1.0, this run has 3.0"
