"""Leaving out steps: what it does to a schedule, and what it is compared with."""

from pathlib import Path

import pytest

from bench.adaptive import Point, leaving_out, planned_at, without_next
from tests.workers.micro_wan import micro_entry, save_micro_wan
from workers.engine.generation import generate
from workers.engine.loaded import load_model
from workers.models.catalogue import Catalogue, families


def test_the_next_full_step_is_left_out_but_never_the_last_and_never_for_too_long_a_gap() -> None:
    assert without_next((0, 1, 5, 9, 14), 5) == (0, 1, 5, 14)
    assert without_next((0, 1, 5, 9, 14), 9) == (0, 1, 5, 9, 14)
    assert without_next((0, 1, 9, 19), 1) == (0, 1, 9, 19)


def test_plans_are_read_between_the_nearest_two() -> None:
    plans = [Point(10, 40.0, 30.0), Point(20, 50.0, 44.0)]
    assert planned_at(plans, 15).psnr == pytest.approx(45.0)
    assert planned_at(plans, 15).worst == pytest.approx(37.0)


def test_inside_runs_leave_steps_out_and_outside_they_keep_to_their_plan(tmp_path: Path) -> None:
    save_micro_wan(tmp_path)
    entry = micro_entry(tmp_path)
    catalogue = Catalogue({entry.name: entry}, families())
    model = load_model(entry, catalogue.family(entry.name))
    request = catalogue.request(entry.name, "a red circle", steps=50, sf=10, seed=3)
    planned = generate(model, request).report.full_steps
    with leaving_out(1e-12):  # Every prediction is better than that.
        assert generate(model, request).report.full_steps < planned
    assert generate(model, request).report.full_steps == planned
