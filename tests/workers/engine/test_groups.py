"""Two processes that compute a model together: as one process would, with the same decisions on both."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.workers.engine.groups import Group, group, request_of, run
from workers.engine import paper_acceleration
from workers.engine.covariance_session import CovarianceSession
from workers.engine.generation import ProgressCallbacks
from workers.jobs.errors import GroupFailed, JobCancelled, ModelLoadFailed, NotFinite
from workers.parallel.world import World
from workers.scalingcache.paper.controller import IntervalSettings

pytestmark = [
    pytest.mark.slow,
    # In diffusers' own hooks.
    pytest.mark.filterwarnings("ignore:.*all_gather_tensor.*:FutureWarning"),
]
WITHIN = 1e-5


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    with group(tmp_path_factory.mktemp("two")) as started:
        yield started


@pytest.mark.parametrize(
    ("variant", "degrees"),
    [
        ("wan t2v", {"ulysses": 2}),
        ("wan t2v", {"cfg": 2}),
        ("wan t2v with experts", {"cfg": 2}),
        ("wan ti2v from an image", {"ulysses": 2}),
        ("flux", {"ulysses": 2}),
        ("flux with true guidance", {"cfg": 2}),
        ("hunyuan video", {"ulysses": 2}),
        ("hunyuan video with true guidance", {"cfg": 2}),
    ],
    ids=str,
)
def test_two_ranks_make_what_one_makes(two: Group, variant: str, degrees: dict[str, int]) -> None:
    together, alone = two.load(variant, degrees), two.alone(variant)
    for settings in ({"sf": 12}, {"sf": 4}):
        latents, generation = run(variant, together, **settings)
        expected, reference = run(variant, alone, **settings)
        assert generation.report.decisions == reference.report.decisions
        assert generation.report.engaged == (settings["sf"] == 4)
        group = generation.report.parallel
        assert reference.report.parallel is None and group is not None and group.ranks == 2
        assert group.model_dump(include=degrees.keys()) == degrees and group.wait_seconds > 0
        assert (latents - expected).abs().max() < WITHIN
        assert (generation.covariance is None) == (reference.covariance is None)


@pytest.mark.parametrize(
    ("variant", "degrees"),
    [
        ("wan t2v", {"ulysses": 2}),
        ("wan t2v", {"cfg": 2}),
        ("flux", {"ulysses": 2}),
        ("hunyuan video with true guidance", {"cfg": 2}),
        ("hunyuan video", {"ulysses": 2}),
        ("wan ti2v from an image", {"ulysses": 2}),
        ("wan t2v with experts", {"cfg": 2}),
    ],
    ids=str,
)
def test_two_ranks_follow_the_paper_as_one_does(
    two: Group, variant: str, degrees: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without coefficients, and with a threshold at which each variant predicts some of its steps.
    kappa = 2.0 if variant.startswith("hunyuan") else 1.0
    monkeypatch.setattr(paper_acceleration, "IntervalSettings", partial(IntervalSettings, kappa=kappa))
    asked = {"sf": 4, "allow_uncalibrated": True}
    together, counts = two.load(variant, degrees, method="paper"), list[int]()
    assert together.share is not None
    progress = together.share.world.progress
    callbacks = ProgressCallbacks(step=lambda *_: counts.append(progress.place[1]))
    latents, generation = run(variant, together, callbacks, **asked)
    expected, reference = run(variant, two.alone(variant, method="paper"), **asked)
    assert generation.report.decisions == reference.report.decisions
    assert "P" in generation.report.decisions
    assert (latents - expected).abs().max() < WITHIN
    mine, alone = generation.report.account, reference.report.account
    assert mine is not None and alone is not None and mine.method == "paper"
    assert mine.epsilon == pytest.approx(alone.epsilon, rel=1e-4)
    begun = [after - before for before, after in pairwise(counts)]
    predicted = {count for count, letter in zip(begun, generation.report.decisions[1:], strict=True) if letter == "P"}
    outputs = 1 if "cfg" in degrees or not together.family.guided(request_of(variant, together)) else 2
    assert predicted == {outputs + 1}, "a predicted step has blocks, or exchanges more than outputs and where all are"


def test_what_uncached_runs_have_shown_is_the_same_for_all_ranks(two: Group) -> None:
    together, alone = two.load("wan t2v", {"ulysses": 2}), two.alone("wan t2v")
    shown = run("wan t2v", together, sf=12, seed=1)[1].covariance
    assert shown is not None
    latents, generation = run("wan t2v", together, observed=[shown], sf=4)
    assert generation.report.account is not None and generation.report.account.basis is not None
    assert generation.report.account.basis.runs == 1
    expected = run("wan t2v", together, sf=4)[0]
    assert not torch.equal(latents, expected), "the covariance changed nothing"
    assert alone.fingerprint == together.fingerprint


@pytest.mark.parametrize("at", ["encode_prompt", "denoise", 0, 5, 6, "decode"])
def test_a_run_that_is_given_up_ends_at_once_and_the_next_one_is_as_ever(two: Group, at: str | int) -> None:
    model = two.load("wan t2v", {"ulysses": 2})
    seen = list[str | int]()

    def look(place: str | int) -> None:
        seen.append(place)
        if place == at:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        run("wan t2v", model, ProgressCallbacks(look, lambda index, _kind, _seconds: look(index)), sf=4)
    assert seen[-1] == at
    assert torch.equal(run("wan t2v", model, sf=4)[0], run("wan t2v", model, sf=4)[0])


def test_an_error_that_all_ranks_meet_leaves_the_group_in_service(two: Group) -> None:
    model = two.load("wan t2v", {"ulysses": 2})
    with pytest.raises(Exception, match="divi"):  # diffusers' own
        run("wan t2v", model, sf=4, width=48, height=48, frames=1)  # 9 tokens
    assert run("wan t2v", model, sf=4)[1].report.engaged


def test_outputs_that_are_not_finite_end_a_run_and_leave_the_group_in_service(two: Group, tmp_path: Path) -> None:
    usual, checkpoint = two.load("wan t2v", {"ulysses": 2}), tmp_path / "overflowing"
    shutil.copytree(usual.entry.source, checkpoint)
    [weights] = checkpoint.glob("transformer/*.safetensors")
    tensors = load_file(weights)
    tensors["proj_out.weight"].fill_(3e38)
    save_file(tensors, weights, {"format": "pt"})
    model = two.load("wan t2v", {"ulysses": 2}, source=str(checkpoint), name=checkpoint.name)
    for sf in (12, 4):
        with pytest.raises(NotFinite, match="output at step 0 is not finite"):
            run("wan t2v", model, sf=sf)
    assert run("wan t2v", usual, sf=4)[1].report.engaged


def test_models_that_cannot_be_split_so_are_refused_with_the_reason(two: Group) -> None:
    two.load("wan t2v", {"ulysses": 2})
    with pytest.raises(ModelLoadFailed, match=r"ring 2: attention of this family goes by a mask.*; use ulysses"):
        two.load("hunyuan video", {"ring": 2}, attention_backend="_native_flash")
    with pytest.raises(ModelLoadFailed, match=r"needs 4 processes, and the group of this worker has 2"):
        two.load("wan t2v", {"ulysses": 4})
    assert run("wan t2v", two.load("wan t2v", {"ulysses": 2}), sf=4)[1].report.engaged


def test_where_a_run_may_compile_the_others_wait_long_until_its_end_and_no_longer_in_the_next_one(
    two: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[str | int]()

    @contextmanager
    def patient(_world: World) -> Iterator[None]:
        told.append("patient")
        yield
        told.append("over")

    model = two.load("wan t2v", {"ulysses": 2})
    assert model.share is not None
    compiled = replace(model, share=replace(model.share, compiled=True, known=set()))
    monkeypatch.setattr(World, "patient", patient)
    for steps in (2, 2, 3):
        run("wan t2v", compiled, ProgressCallbacks(step=lambda index, *_: told.append(index)), steps=steps, sf=steps)
    assert told == ["patient", 0, 1, "over", 0, 1, "patient", 0, 1, 2, "over"]


def test_ranks_that_would_decide_otherwise_are_found_out(two: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = CovarianceSession.recipe.fget
    assert recipe is not None
    model = two.load("wan t2v", {"ulysses": 2})
    monkeypatch.setattr(CovarianceSession, "recipe", property(lambda self: {**recipe(self), "schedule": (0, 1, 2, 3)}))
    assert run("wan t2v", model, sf=12)[1].report.full_steps == 12
    with pytest.raises(GroupFailed, match=r"rank 1 is at \[\d+, 1, [01]\], rank 0 at"):
        run("wan t2v", model, sf=4)
    two.end()
