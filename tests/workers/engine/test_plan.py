"""A run is planned once, and a plan belongs to one run."""

from typing import Any

import pytest

from tests.workers import micro_wan
from tests.workers.micro_wan import micro_request
from workers.engine.generation import generate
from workers.engine.loaded import LoadedModel
from workers.engine.plan import plan_run
from workers.jobs.errors import RequestRefused


def test_a_generation_plans_its_run_once(micro: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated = micro_wan.calibrated(micro, micro_request())
    scheduler = type(micro.pipeline.scheduler)
    made: list[Any] = []
    from_config = scheduler.from_config
    monkeypatch.setattr(scheduler, "from_config", lambda *a, **k: made.append(from_config(*a, **k)) or made[-1])
    assert generate(calibrated, micro_request()).report.engaged
    assert len(made) == 1


def test_a_plan_leaves_the_models_own_scheduler_as_it_was(micro: LoadedModel) -> None:
    stock = micro.pipeline.scheduler
    before = stock.timesteps.clone()
    plan = plan_run(micro, micro_request(steps=6, flow_shift=3.0))
    assert plan.scheduler is not stock and micro.pipeline.scheduler is stock
    assert stock.timesteps.equal(before) and stock.config.flow_shift == 1.0
    assert plan.scheduler.config.flow_shift == plan.key.scheduler["flow_shift"] == 3.0


def test_a_plan_has_a_noise_level_for_each_step_and_they_fall(micro: LoadedModel) -> None:
    plan = plan_run(micro, micro_request(steps=6))
    assert plan.sigmas.shape == (6,) and (plan.sigmas.diff() < 0).all() and plan.sigmas[-1] > 0
    assert plan.segments == (6,) and plan.key.steps == 6


def test_a_shift_at_which_the_scheduler_would_leave_out_a_step_is_refused(micro: LoadedModel) -> None:
    allowed = micro_request(steps=50, flow_shift=20.0)
    with pytest.raises(RequestRefused, match=r"flow_shift 30 with steps 50: .* one timestep, 999.*UniPC.* smaller"):
        plan_run(micro, allowed.model_copy(update={"flow_shift": 30.0}))
    assert plan_run(micro, allowed).scheduler.timesteps[:2].tolist() == [999, 998]
