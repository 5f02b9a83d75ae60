import urllib.request

import pytest

from tests.workers.factories import MODEL, a_report, a_request
from workers.configuration import ConfigurationError
from workers.jobs.group import Group
from workers.jobs.job import Account, Basis, Misprediction, Reason, ReasonCode
from workers.parallel.loss import Loss
from workers.process.events import StepDone
from workers.process.metrics import Metrics

JOB = f"video_{MODEL}_{0:032x}"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_a_completed_job_is_counted_with_its_speedup(metrics: Metrics) -> None:
    metrics.started(MODEL, 0.004)
    metrics.completed(a_request(sf=10), a_report(steps=50, full_steps=20))
    metrics.ended(MODEL, "completed", 12.5)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"scalingcache_{name}", {"model": MODEL, **labels})

    assert value("jobs_total", outcome="completed", reason="") == 1
    assert value("job_wait_seconds_count") == 1
    assert value("job_duration_seconds_sum", outcome="completed") == 12.5
    assert value("stage_seconds_sum", stage="denoise") == 4.0
    assert value("cached_ratio_sum", sf="10") == pytest.approx(0.6)
    assert value("speedup_ratio_sum", sf="10", kind="measured") == 2.4
    assert value("speedup_ratio_sum", sf="10", kind="estimated") == 2.5
    assert value("acceleration_total", engaged="true", reason="") == 1
    assert value("cache_bytes") == 1024


def test_what_several_processes_computed_is_counted_for_each_of_them(metrics: Metrics) -> None:
    group = Group(ranks=4, cfg=2, ulysses=2, ring=1, wait_seconds=5.0)
    metrics.groups({MODEL: 4, "other": 1})
    metrics.completed(a_request(), a_report(steps=50, full_steps=20).model_copy(update={"parallel": group}))
    assert sample(metrics, "group_ranks") == 4
    assert sample(metrics, "group_wait_seconds_sum") == pytest.approx(0.1)
    assert sample(metrics, "device_seconds_saved_total") == pytest.approx(4 * 30 * 0.198)


def failures(metrics: Metrics) -> dict[str, float]:
    [family] = [each for each in metrics.registry.collect() if each.name == "scalingcache_group_failures"]
    return {each.labels["cause"]: each.value for each in family.samples if each.name.endswith("_total")}


def test_groups_that_were_lost_are_counted_by_cause_and_single_processes_are_not(metrics: Metrics) -> None:
    metrics.groups({MODEL: 1})
    metrics.process_ended(-9)
    assert failures(metrics) == {}
    metrics.groups({MODEL: 2})
    assert failures(metrics) == dict.fromkeys(("ended", "silent", "held_up", "store", "killed", "parted"), 0)
    for code in (Loss.HELD_UP, Loss.ENDED, Loss.ENDED, Loss.PARTED, -9, 0, 1, None):
        metrics.process_ended(code)
    assert failures(metrics) == {"ended": 2, "silent": 0, "held_up": 1, "store": 0, "killed": 1, "parted": 1}


def test_prompts_that_were_known_are_counted(metrics: Metrics) -> None:
    for known in (False, True, True):
        metrics.completed(a_request(), a_report(), prompt_known=known)
    assert metrics.registry.get_sample_value("scalingcache_prompts_reused_total", {"model": MODEL}) == 2


def test_an_attempt_that_goes_on_elsewhere_has_no_duration(metrics: Metrics) -> None:
    metrics.ended(MODEL, "retried")
    labels = {"model": MODEL, "outcome": "retried"}
    assert metrics.registry.get_sample_value("scalingcache_jobs_total", {**labels, "reason": ""}) == 1
    assert metrics.registry.get_sample_value("scalingcache_job_duration_seconds_count", labels) is None


def test_steps_are_counted_by_kind(metrics: Metrics) -> None:
    metrics.stepped(MODEL, StepDone(JOB, 0, "full", 0.2))
    metrics.stepped(MODEL, StepDone(JOB, 1, "predicted", 0.002))
    labels = {"model": MODEL, "kind": "predicted"}
    assert metrics.registry.get_sample_value("scalingcache_steps_total", labels) == 1
    assert metrics.registry.get_sample_value("scalingcache_step_seconds_sum", labels) == 0.002


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"scalingcache_{name}", {"model": MODEL, **labels})


def test_the_first_step_of_each_kind_after_loading_is_warm_up(metrics: Metrics) -> None:
    metrics.loaded({MODEL: 3.0, "other": 5.0})
    assert sample(metrics, "model_load_seconds_sum") == 3.0
    for index, (kind, seconds) in enumerate([("full", 9.0), ("full", 0.2), ("predicted", 1.0), ("predicted", 0.002)]):
        metrics.stepped(MODEL, StepDone(JOB, index, kind, seconds))  # type: ignore[arg-type]
    assert sample(metrics, "warmup_step_seconds_sum", kind="full") == 9.0
    assert sample(metrics, "warmup_step_seconds_sum", kind="predicted") == 1.0
    assert sample(metrics, "step_seconds_sum", kind="full") == 0.2
    assert sample(metrics, "steps_total", kind="full") == 2


def test_time_saved_is_cached_steps_at_the_difference_of_the_two_kinds(metrics: Metrics) -> None:
    metrics.completed(a_request(), a_report(steps=50, full_steps=20))  # full 0.2 s, predicted 0.002 s
    assert sample(metrics, "device_seconds_saved_total") == pytest.approx(30 * 0.198)


def test_predicted_steps_that_cost_more_than_full_ones_save_nothing(metrics: Metrics) -> None:
    metrics.completed(a_request(), a_report().model_copy(update={"predicted_step_seconds": 0.3}))
    assert sample(metrics, "device_seconds_saved_total") == 0


@pytest.mark.parametrize("code", [code for code in ReasonCode if not code.accelerated])
def test_why_a_job_ran_uncached_is_counted_by_its_code_without_the_detail(metrics: Metrics, code: ReasonCode) -> None:
    reason = Reason(code=code, detail="model m has no file")
    uncached = a_report(full_steps=50).model_copy(update={"reason": reason, "predicted_step_seconds": None})
    metrics.completed(a_request(sf=10), uncached)
    assert sample(metrics, "acceleration_total", engaged="false", reason=code.value) == 1
    assert sample(metrics, "sf_effective_sum") == 50


def test_how_far_predictions_were_off_is_kept_over_what_was_expected(metrics: Metrics) -> None:
    found = [Misprediction(step=4, expected=0.04, measured=0.01), Misprediction(step=7, expected=0.0, measured=0.0)]
    account = Account(method="covariance", basis=Basis(kind="prior", runs=0), mispredictions=found)
    metrics.completed(a_request(), a_report().model_copy(update={"account": account}))
    assert sample(metrics, "misprediction_ratio_sum") == pytest.approx(0.5)
    assert sample(metrics, "misprediction_ratio_count") == 1, "what was expected to be exact says nothing"


def test_steps_that_were_added_to_a_plan_are_counted(metrics: Metrics) -> None:
    account = Account(method="covariance", basis=Basis(kind="measured", runs=3), added_steps=[4, 9])
    metrics.completed(a_request(), a_report().model_copy(update={"account": account}))
    metrics.completed(a_request(), a_report())
    assert sample(metrics, "added_steps_total") == 2


def test_each_trouble_has_its_counter_from_the_start() -> None:
    metrics = Metrics([MODEL])
    troubles = ("lease_losses", "jobs_reclaimed", "stale_writes_refused")
    assert [sample(metrics, f"{name}_total") for name in troubles] == [0, 0, 0]
    assert sample(metrics, "jobs_total", outcome="retried", reason="out_of_memory") == 0
    assert sample(metrics, "jobs_total", outcome="dead", reason="worker_crashed") == 0
    assert sample(metrics, "jobs_total", outcome="failed", reason="storage_full") == 0
    assert sample(metrics, "acceleration_total", engaged="false", reason="other_settings") == 0
    metrics.ended(MODEL, "lost")
    metrics.ended(MODEL, "retried", code="out_of_memory")
    metrics.ended(MODEL, "dead", 4.0, "out_of_memory")
    metrics.ended(MODEL, "failed", 4.0, "a code of tomorrow")
    metrics.reclaimed(MODEL)
    metrics.stale_write_refused(MODEL)
    assert [sample(metrics, f"{name}_total") for name in troubles] == [1, 1, 1]
    assert sample(metrics, "jobs_total", outcome="retried", reason="out_of_memory") == 1
    assert sample(metrics, "jobs_total", outcome="dead", reason="out_of_memory") == 1
    assert sample(metrics, "jobs_total", outcome="failed", reason="other") == 1


def test_only_what_can_happen_has_a_series_before_it_did() -> None:
    ends = {
        (sample.labels["outcome"], sample.labels["reason"])
        for family in Metrics([MODEL]).registry.collect()
        for sample in family.samples
        if sample.name == "scalingcache_jobs_total"
    }
    retried = {
        "worker_crashed",
        "group_failed",
        "step_timeout",
        "out_of_memory",
        "device_error",
        "generation_failed",
        "storage_failed",
        "storage_unavailable",
    }
    final = {
        "deadline_exceeded",
        "invalid_request",
        "not_finite",
        "storage_full",
        "unsupported_pipeline",
        "model_not_served",
    }
    assert ends == {
        *((outcome, "") for outcome in ("completed", "cancelled", "released")),
        *(("failed", code) for code in final),
        *((outcome, code) for outcome in ("retried", "dead") for code in retried),
    }


def test_an_attempt_that_two_workers_saw_end_counts_once() -> None:
    silent, reaper = Metrics([MODEL]), Metrics([MODEL])
    reaper.reclaimed(MODEL)
    reaper.ended(MODEL, "retried", code="worker_crashed")
    silent.ended(MODEL, "lost")
    assert [ended(metrics) for metrics in (silent, reaper)] == [0, 1]
    assert sample(silent, "lease_losses_total") == 1


def ended(metrics: Metrics) -> float:
    """All attempts that a worker counts, whatever their outcome."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "scalingcache_jobs_total"
    )


def test_the_worker_is_in_one_state(metrics: Metrics) -> None:
    metrics.set_state("loading")
    metrics.set_state("idle")
    states = {
        state: metrics.registry.get_sample_value("scalingcache_worker_state", {"state": state})
        for state in ("loading", "idle", "busy", "draining", "failed")
    }
    assert states == {"loading": 0, "idle": 1, "busy": 0, "draining": 0, "failed": 0}


def test_they_are_served_over_http_without_ids_or_prompts(metrics: Metrics) -> None:
    metrics.completed(a_request("a secret"), a_report())
    with metrics.serve("127.0.0.1", 0) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert 'scalingcache_speedup_ratio_count{kind="measured"' in text
    assert "a secret" not in text
    assert all(line.startswith(("#", "scalingcache_")) for line in text.splitlines())


def test_an_address_that_cannot_be_listened_on_is_named_with_its_settings() -> None:
    with (
        Metrics().serve("127.0.0.1", 0) as taken,
        pytest.raises(ConfigurationError) as caught,
        Metrics().serve("127.0.0.1", taken),
    ):
        pass
    assert str(caught.value) == (
        f"SCALINGCACHE_METRICS_HOST, SCALINGCACHE_METRICS_PORT: cannot listen on 127.0.0.1:{taken}: "
        "Address already in use"
    )
    with pytest.raises(ConfigurationError, match=r"nowhere\.invalid:0"), Metrics().serve("nowhere.invalid", 0):
        pass
