"""The covariance method on every kind of checkpoint: exact where it computes, gone when it is taken off."""

from typing import Any

import numpy as np
import pytest

from tests.workers.engine.variants import STEPS, Variant
from workers.engine.covariance_session import CovarianceSession
from workers.engine.generation import SILENT, Frames, ProgressCallbacks, generate, run_pipeline
from workers.engine.loaded import LoadedModel, load_model
from workers.engine.plan import plan_run
from workers.jobs.errors import JobCancelled
from workers.jobs.job import Basis, GenerationRequest
from workers.scalingcache.budget import full_steps


def uncached(model: LoadedModel, variant: Variant, asked: GenerationRequest) -> Frames:
    return run_pipeline(model, plan_run(model, asked), None, SILENT, variant.picture)[0]


def test_a_forecast_of_computed_steps_alone_gives_the_solvers_result_but_for_rounding(
    model: LoadedModel, variant: Variant, asked: GenerationRequest
) -> None:
    session = CovarianceSession(plan_run(model, asked), None, tuple(range(STEPS)))
    frames, _ = run_pipeline(model, plan_run(model, asked), session, SILENT, variant.picture)
    assert session.decisions == "F" * STEPS
    assert np.abs(frames.astype(int) - uncached(model, variant, asked).astype(int)).max() <= 1


def test_a_forecast_calls_the_transformers_at_full_steps_alone_and_leaves_no_trace(
    model: LoadedModel, variant: Variant, asked: GenerationRequest
) -> None:
    transformers = model.family.transformers(model.pipeline)
    uncached(model, variant, asked)
    before = [set(each.__dict__) for each in transformers]
    calls: list[int] = []
    handles = [
        transformer.get_submodule(name).register_forward_pre_hook(lambda *_: calls.append(1))
        for transformer in transformers
        for name, module in transformer.named_modules()
        if module is model.family.layout().blocks(transformer)[0]
    ]
    report = generate(model, asked, image=variant.picture).report
    for handle in handles:
        handle.remove()
    assert report.engaged and report.reason is None
    assert report.account is not None and report.account.basis == Basis(kind=report.account.basis.kind, runs=0)
    assert len(calls) == report.full_steps * len(variant.streams)
    assert report.full_steps == full_steps(4, STEPS) == report.decisions.count("F")
    assert [set(each.__dict__) for each in transformers] == before
    assert not any(each._diffusers_hook.hooks for each in transformers)


def test_two_full_steps_are_the_first_two(model: LoadedModel, variant: Variant, asked: GenerationRequest) -> None:
    report = generate(model, asked.model_copy(update={"full_steps": 2}), image=variant.picture).report
    assert report.decisions == "FF" + "P" * (STEPS - 2)


def test_a_warm_model_gives_the_forecast_of_a_cold_one_also_after_an_exception(
    model: LoadedModel, variant: Variant, asked: GenerationRequest
) -> None:
    cold = load_model(model.entry, model.family)
    expected = generate(cold, asked, image=variant.picture).frames

    def stop(index: int, *_: Any) -> None:
        if index == 8:
            raise JobCancelled("stop")

    other = variant.request(model, **variant.other)
    generate(model, other, image=variant.picture)
    with pytest.raises(JobCancelled):
        generate(model, other, ProgressCallbacks(step=stop), variant.picture)
    assert np.array_equal(generate(model, asked, image=variant.picture).frames, expected)
