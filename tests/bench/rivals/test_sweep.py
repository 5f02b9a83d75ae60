"""One rival's measurements: what is done stays done, a library's refusal is said, a fault of our own is not hidden."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bench.rivals.diffusers_cache import DiffusersRival
from bench.rivals.methods.fewer_steps import FewerSteps
from bench.rivals.methods.sea_cache import SeaCache
from bench.rivals.prompts import SharedPrompt
from bench.rivals.records import Records
from bench.rivals.references import References
from bench.rivals.registry import rivals
from bench.rivals.rival import Case, Knob, Rival, Run
from bench.rivals.sweep import Bench, headline, sweep
from tests.bench.rivals.micros import Micro
from workers.engine.loaded import LoadedModel
from workers.jobs.job import GenerationRequest


def other(case: Case, prompt: str = "circle", **changes: object) -> Case:
    return Case(case.request.model_copy(update={"prompt": prompt, **changes}))


def a_bench(micro: Micro, rival: Rival, folder: Path) -> Bench:
    return Bench(
        micro.model,
        rival,
        [other(micro.case, "fitted on")],
        Records(folder),
        References(folder / "uncached", micro.model),
    )


def ignore(_done: int, _total: int) -> None:
    """Nobody is told."""


class Interrupted(Exception):
    """Somebody pressed a key."""


def test_a_sweep_measures_every_setting_on_every_prompt_and_times_pairs(flux: Micro, tmp_path: Path) -> None:
    bench = a_bench(flux, FewerSteps(), tmp_path)
    cases = [flux.case, other(flux.case, seed=2)]
    found = sweep(bench, cases, 1, ignore)
    assert found.refused is None
    assert [(row.setting, row.prompt) for row in found.rows] == [
        (steps, prompt) for prompt in ("red circle", "circle") for steps in (2, 3, 4, 5, 6, 8)
    ]
    assert [row.cost for row in found.rows[:6]] == pytest.approx([steps / 12 for steps in (2, 3, 4, 5, 6, 8)])
    assert found.rows[5].fidelity.psnr > found.rows[0].fidelity.psnr
    assert len({row.reference for row in found.rows}) == 2
    assert {timing.setting for timing in found.timings} == {6, 5, 4}
    assert all(timing.uncached > 0 and timing.accelerated > 0 for timing in found.timings)


def test_an_interrupted_sweep_goes_on_where_it_was(flux: Micro, tmp_path: Path) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done == 4:
            raise Interrupted

    first = a_bench(flux, FewerSteps(), tmp_path)
    with pytest.raises(Interrupted):
        sweep(first, [flux.case], 0, interrupt)
    second = a_bench(flux, FewerSteps(), tmp_path)
    whole = sweep(second, [flux.case], 0, ignore)
    assert (first.records.made, second.records.made) == (4, 2)
    third = a_bench(flux, FewerSteps(), tmp_path)
    assert sweep(third, [flux.case], 0, ignore) == whole
    assert third.records.made == 0


@pytest.mark.parametrize("changes", [{"prompt": "circle"}, {"seed": 9}], ids=["prompt", "seed"])
def test_another_request_is_another_measurement(flux: Micro, tmp_path: Path, changes: dict[str, object]) -> None:
    bench = a_bench(flux, FewerSteps(), tmp_path)
    bench.row(flux.case, 4)
    bench.row(other(flux.case, **({"prompt": flux.case.request.prompt} | changes)), 4)
    assert bench.records.made == 2


def test_other_weights_are_measured_anew(flux: Micro, tmp_path: Path) -> None:
    a_bench(flux, FewerSteps(), tmp_path).row(flux.case, 4)
    trained = replace(flux, model=replace(flux.model, fingerprint="0" * 32))
    again = a_bench(trained, FewerSteps(), tmp_path)
    again.row(flux.case, 4)
    assert again.records.made == 1


def test_what_was_measured_of_a_model_counts_where_it_matters(flux: Micro, tmp_path: Path) -> None:
    (alpha,), (covariance,) = flux.model.coefficients, flux.model.covariances
    more = replace(covariance, covariance=replace(covariance.covariance, runs=2))
    others = {
        "kappa": replace(flux.model, coefficients=(replace(alpha, kappa=2.0),)),
        "runs": replace(flux.model, covariances=(more,)),
    }
    made = {}
    for name, changed in product(("alpha-fixed", "ours-measured", "reuse-fixed"), others):
        a_bench(flux, rivals()[name], tmp_path).row(flux.case, 4)
        again = a_bench(replace(flux, model=others[changed]), rivals()[name], tmp_path)
        again.row(flux.case, 4)
        made[name, changed] = again.records.made
    assert {each for each, count in made.items() if count} == {("alpha-fixed", "kappa"), ("ours-measured", "runs")}


@pytest.mark.parametrize(
    ("name", "family", "why"),
    [
        ("faster-cache", "wan", "IndexError: tuple index out of range"),
        ("faster-cache-attention", "flux", "it is FasterCache itself where guidance has no second stream"),
    ],
)
def test_a_library_s_refusal_is_part_of_the_result(
    micros: dict[str, Micro], tmp_path: Path, name: str, family: str, why: str
) -> None:
    found = sweep(a_bench(micros[family], rivals()[name], tmp_path), [micros[family].case], 0, ignore)
    assert found.rows == ()
    assert why in str(found.refused)
    again = sweep(a_bench(micros[family], rivals()[name], tmp_path), [micros[family].case], 0, ignore)
    assert again == found


def test_what_a_library_accepts_and_does_not_do_is_a_refusal(flux: Micro, tmp_path: Path) -> None:
    class Untold(SeaCache):
        engaged = DiffusersRival.engaged  # whose noise levels FLUX's pipeline does not tell

    found = sweep(a_bench(flux, Untold("untold", "SeaCache", 2), tmp_path), [flux.case], 0, ignore)
    assert found.rows == ()
    assert "every block still runs: SeaCache is running in fail-open mode because the scheduler" in str(found.refused)


def test_a_rival_without_a_setting_for_so_few_steps_refuses_them(flux: Micro, tmp_path: Path) -> None:
    found = sweep(a_bench(flux, FewerSteps(), tmp_path), [other(flux.case, steps=2)], 0, ignore)
    assert found.refused == "it has no setting for runs of 2 steps"


def test_a_rival_that_reaches_no_speedup_to_compare_at_shows_how_far_it_gets(
    micros: dict[str, Micro], tmp_path: Path
) -> None:
    wan = micros["wan"]  # of whose 12 steps EasyCache computes the first ten and the last
    found = sweep(a_bench(wan, rivals()["easy-cache"], tmp_path), [wan.case], 1, ignore)
    assert [row.cost for row in found.rows] == [pytest.approx(11 / 12)]
    assert len(found.timings) == 1


def test_without_coefficients_the_paper_refuses(flux: Micro, tmp_path: Path) -> None:
    bare = replace(flux, model=replace(flux.model, coefficients=()))
    found = sweep(a_bench(bare, rivals()["paper"], tmp_path), [flux.case], 0, ignore)
    assert found.refused == "no coefficients: not_calibrated: model micro-flux has no coefficient file"


class Broken(Rival):
    name = title = knob = "broken"

    def settings(self, request: GenerationRequest) -> Sequence[Knob]:
        return [1]

    def full(self, request: GenerationRequest) -> Knob:
        return 0

    @contextmanager
    def engaged(self, model: LoadedModel, request: GenerationRequest, setting: Knob) -> Iterator[Run]:
        raise ZeroDivisionError("a fault of the bench")
        yield


def test_a_fault_of_the_bench_s_own_is_not_taken_for_a_refusal(flux: Micro, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        sweep(a_bench(flux, Broken(), tmp_path), [flux.case], 0, ignore)


def test_a_prompt_that_was_fitted_on_is_never_compared_on(flux: Micro, tmp_path: Path) -> None:
    bench = a_bench(flux, FewerSteps(), tmp_path)
    for measured in (lambda cases: sweep(bench, cases, 0, ignore), lambda cases: headline(bench, cases, [6], ignore)):
        with pytest.raises(SharedPrompt, match="'Fitted  on' is fitted on"):
            measured([flux.case, other(flux.case, "Fitted  on")])
    assert bench.records.made == 0


def test_a_headline_runs_its_settings_on_its_own_cases(flux: Micro, tmp_path: Path) -> None:
    found = headline(a_bench(flux, FewerSteps(), tmp_path), [flux.case, other(flux.case)], [5], ignore)
    assert [(row.prompt, row.setting) for row in found.headline] == [("red circle", 5), ("circle", 5)]
    assert found.rows == ()


def test_ours_computes_as_many_full_steps_as_were_asked_for_and_nothing_else(flux: Micro, tmp_path: Path) -> None:
    found = sweep(a_bench(flux, rivals()["ours-prior"], tmp_path), [flux.case], 0, ignore)
    assert {row.setting: row.cost for row in found.rows} == pytest.approx({n: n / 12 for n in (3, 4, 5, 6, 8)})


def test_without_a_covariance_only_the_prior_and_one_run_are_ours(flux: Micro, tmp_path: Path) -> None:
    bare = replace(flux, model=replace(flux.model, covariances=()))
    names = "ours-prior", "ours-one-run", "ours-measured", "weights-2-schedule", "reuse-schedule"
    refused = {name for name in names if sweep(a_bench(bare, rivals()[name], tmp_path), [flux.case], 0, ignore).refused}
    assert refused == {"ours-measured", "weights-2-schedule", "reuse-schedule"}


def test_the_bases_of_ours_differ(flux: Micro, tmp_path: Path) -> None:
    names = "ours-prior", "ours-one-run", "ours-measured"
    rows = [a_bench(flux, rivals()[name], tmp_path).row(flux.case, 5) for name in names]
    assert len({row.fidelity.psnr for row in rows}) == 3


def test_ours_is_swept_with_one_full_step_fewer_than_the_highest_speedup_has(flux: Micro) -> None:
    longer = flux.case.request.model_copy(update={"steps": 50})
    assert rivals()["ours-prior"].settings(longer)[:3] == [7, 8, 9]
