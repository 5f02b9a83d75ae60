"""`calibrate --plans`: whole runs choose which steps are computed in full."""

from pathlib import Path

import pytest

from tests.workers.commands.test_commands import calibrate, catalogue, generate, prompts
from workers.jobs.errors import InvalidRequest

__all__ = ["catalogue", "prompts"]


def test_plans_are_chosen_by_whole_runs_of_other_prompts_and_hold_for_later_runs(
    catalogue: Path, prompts: Path
) -> None:
    measured, output = calibrate(catalogue, prompts, "--limit", "1", "--plans", "2")
    assert measured.covariance.runs == 1
    assert set(measured.prior_shares) == {2, 3, 4, 5, 6, 7, 8}
    assert set(measured.prior_shares.values()) <= {0.0, 0.67, 1.0}
    assert "by whole runs" in output and output.count("│ chosen │") == len(measured.prior_shares)
    assert "measured, 1 uncached runs, plan tried" in generate(catalogue, prompts.parent)


def test_an_interrupted_choice_goes_on_and_ends_the_same(catalogue: Path, prompts: Path) -> None:
    first, _ = calibrate(catalogue, prompts, "--limit", "1", "--plans", "2")
    kept = sorted((prompts.parent / "work").glob("*.plan.json"))
    assert len(kept) > 2
    kept[0].unlink()
    touched = {path: path.stat().st_mtime_ns for path in kept[1:]}
    again, _ = calibrate(catalogue, prompts, "--limit", "1", "--plans", "2")
    assert {path: path.stat().st_mtime_ns for path in kept[1:]} == touched
    assert again.prior_shares == first.prior_shares and again.expected_snr == first.expected_snr


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--limit", "1", "--plans", "3"), "--plans 3: 2 prompts are left after those of --limit"),
        (("--plans", "1"), "--plans 1: 0 prompts are left"),
        (("--limit", "1", "--plans", "1", "--method", "paper"), "only a covariance has plans"),
        (("--limit", "1", "--plans", "1", "--colours-only"), "changes nothing else of the file"),
    ],
)
def test_plans_that_cannot_be_chosen_are_refused_before_anything_runs(
    catalogue: Path, prompts: Path, more: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        calibrate(catalogue, prompts, *more)
    assert not (prompts.parent / "work").exists()
