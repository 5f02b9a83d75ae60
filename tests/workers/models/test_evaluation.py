"""The summary of an evaluation, and its file."""

from pathlib import Path

import pytest

from tests.workers.evaluations import a_pair, an_evaluation
from workers.jobs.errors import InvalidRequest
from workers.models.evaluation import Evaluation, EvaluationError, estimate, summarise


def test_a_summary_has_a_row_for_each_sf_with_means_over_prompts() -> None:
    rows = summarise([a_pair(4, 2.0, 30.0), a_pair(2, 3.0, 20.0, cache_bytes=30), a_pair(2, 4.0, 24.0, lpips=0.1)])
    assert [(row.sf, row.speedup.mean, row.psnr.mean, row.full_steps) for row in rows] == [
        (2, 3.5, 22, 3),
        (4, 2, 30, 3),
    ]
    assert rows[0].cache_bytes == 30
    assert rows[0].lpips is not None and rows[0].lpips.mean == 0.1
    assert rows[1].lpips is None


def test_the_interval_of_a_mean_narrows_with_the_number_of_prompts_and_covers_it() -> None:
    few, many = estimate([1.0, 2.0, 3.0] * 2), estimate([1.0, 2.0, 3.0] * 50)
    assert few.mean == many.mean == 2.0
    assert few.low < many.low < 2.0 < many.high < few.high
    # The normal approximation of a mean of 150 values with this variance.
    assert many.high - many.low == pytest.approx(2 * 1.96 * (2 / 3 / 150) ** 0.5, rel=0.1)
    assert estimate([5.0]).low == estimate([5.0]).high == 5.0


def test_a_target_picks_the_sf_of_least_loss_that_is_expected_to_reach_it() -> None:
    evaluation = an_evaluation(
        [a_pair(4, 3.0, 20.0), a_pair(8, 2.4, 28.0), a_pair(10, 2.0, 31.0), a_pair(20, 1.4, 40.0)]
    )
    assert [evaluation.sf_for(target) for target in (3.0, 2.5, 2.0, 1.1)] == [4, 4, 10, 20]
    with pytest.raises(InvalidRequest, match=r"target_speedup 3.5: m is expected to reach at most 3.00"):
        evaluation.sf_for(3.5)


def test_a_file_is_read_back_and_a_broken_one_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.evaluation.json"
    evaluation = an_evaluation([a_pair(4, 3.0, 20.0)])
    evaluation.save(path)
    assert Evaluation.load(path) == evaluation
    path.write_text('{"model": "m"}')
    with pytest.raises(EvaluationError, match=str(path)):
        Evaluation.load(path)
