"""Which completed jobs are run again."""

import pytest

from tests.catalogues import a_model
from tests.workers.factories import MODEL, a_report
from workers.jobs.job import Account, Basis, RunReport, new_job_id
from workers.process.choice import is_chosen, work_of
from workers.scalingcache.budget import CALIBRATION_RUNS

JOB = new_job_id(MODEL)


def report(runs: int = 0, full_steps: int = 20) -> RunReport:
    account = Account(method="covariance", basis=Basis(kind="measured", runs=runs))
    return a_report(full_steps=full_steps).model_copy(update={"account": account})


@pytest.mark.parametrize(
    ("settings", "runs", "expected"),
    [
        ({}, 0, None),
        ({"shadow_share": 1.0}, 0, "shadow"),
        ({"calibrate_when_idle": True}, 0, "calibration"),
        ({"calibrate_when_idle": True}, CALIBRATION_RUNS - 1, "calibration"),
        ({"calibrate_when_idle": True}, CALIBRATION_RUNS, None),
        ({"calibrate_when_idle": True, "shadow_share": 1.0}, CALIBRATION_RUNS, "shadow"),
    ],
)
def test_what_is_done_with_an_accelerated_job(settings: dict[str, object], runs: int, expected: str | None) -> None:
    assert work_of(a_model(**settings), JOB, report(runs)) == expected  # type: ignore[arg-type]


def test_an_uncached_job_is_not_run_again() -> None:
    entry = a_model(shadow_share=1.0, calibrate_when_idle=True)
    assert work_of(entry, JOB, report(full_steps=50)) is None


def test_a_job_of_the_papers_method_is_compared_and_never_measured() -> None:
    by_paper = a_report().model_copy(update={"account": Account(method="paper")})
    assert work_of(a_model(method="paper", shadow_share=1.0), JOB, by_paper) == "shadow"
    assert work_of(a_model(method="paper"), JOB, by_paper) is None


def test_the_share_holds_over_many_jobs_and_each_is_chosen_alike_everywhere() -> None:
    ids = [f"video_{MODEL}_{number:032x}" for number in range(20_000)]
    chosen = {id for id in ids if is_chosen(id, 0.05)}
    assert len(chosen) == pytest.approx(1000, rel=0.1)
    assert chosen == {id for id in ids if is_chosen(id, 0.05)}
    assert chosen < {id for id in ids if is_chosen(id, 0.2)}, "a larger share has those of a smaller one"
    assert not any(is_chosen(id, 0.0) for id in ids) and all(is_chosen(id, 1.0) for id in ids)
